#![no_main]
use chat_protocol::fixtures::inputs;

libfuzzer_sys::fuzz_target!(|data: &[u8]| inputs::groups(data));
