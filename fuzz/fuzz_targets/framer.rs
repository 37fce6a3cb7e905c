//! Frames, the fast run over them, and the trace of any stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::fuzzing::framer(data));
