//! A hostile client against our role as a server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auth::fuzzing::scram_server(data));
