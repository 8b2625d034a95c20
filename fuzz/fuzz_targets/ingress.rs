//! [`fairway_fuzz::ingress`] for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fairway_fuzz::ingress::check(input));
