//! Two clients that share two servers, with their prepared statements.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| session::fuzzing::relay(data));
