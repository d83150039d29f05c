#![no_main]
//! PyTorch's legacy format, which is a program for a stack machine.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = seesaw::encoders::weights::pth_legacy::read(data);
});
