#![no_main]

#[path = "../bodies.rs"]
#[expect(dead_code, reason = "a target has one body")]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::trace(data));
