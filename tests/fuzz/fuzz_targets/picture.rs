#![no_main]
//! Pictures of every format. A decoder's panic is caught in a run and is no finding here; what is one: memory beyond the
//! bound, time without end, a picture whose bytes do not fit its size.

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use seesaw::pictures::{Decoding, decode};

static QUIET: Once = Once::new();

fuzz_target!(|data: &[u8]| {
    // libFuzzer's hook would abort where a run goes on.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    for decoding in [Decoding::PILLOW, Decoding::OVER_WHITE] {
        if let Ok(picture) = decode(data, decoding)
            && picture.bytes.len() != 3 * picture.width * picture.height
        {
            eprintln!("a picture of {} bytes for {} × {}", picture.bytes.len(), picture.width, picture.height);
            std::process::abort();
        }
    }
});
