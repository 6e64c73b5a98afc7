#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chord_fuzz::exhaust(data);
});
