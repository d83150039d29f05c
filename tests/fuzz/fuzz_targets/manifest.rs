#![no_main]
//! Manifests: what a person edits.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = seesaw::manifests::Manifest::parse("emoji", data);
});
