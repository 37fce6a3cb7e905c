//! Messages of a server: a tag, then a body.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::fuzzing::from_server(data));
