//! The header of a load balancer, in front of everything else.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::fuzzing::proxy_header(data));
