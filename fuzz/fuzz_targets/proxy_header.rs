//! [`fairway_fuzz::proxy_header`] for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fairway_fuzz::proxy_header::check(input));
