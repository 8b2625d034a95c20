//! [`fairway_fuzz::gate`] for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fairway_fuzz::gate::check(input));
