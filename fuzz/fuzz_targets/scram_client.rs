//! A hostile server against our role as a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auth::fuzzing::scram_client(data));
