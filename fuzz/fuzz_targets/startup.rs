//! The untagged start of a connection and its negotiation.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::fuzzing::startup(data));
