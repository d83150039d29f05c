#![no_main]
//! Checkpoints of any format, told apart by their first bytes.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = seesaw::encoders::weights::Weights::read(data);
});
