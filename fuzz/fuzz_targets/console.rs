//! Whole conversations with the console, in pieces of any size.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| admin::fuzzing::console(data));
