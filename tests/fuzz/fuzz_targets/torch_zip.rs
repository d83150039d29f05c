#![no_main]
//! PyTorch's zip format: the bytes as a file, or as the pickle of a file that is sound otherwise, since a checksum keeps
//! most changes of a whole file from the reader.

use std::fs::File;
use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use seesaw::archives::PackWriter;
use seesaw::encoders::weights::pth_zip::read;

fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"PK") {
        let _ = read(Cursor::new(data), data.len() as u64);
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.pth");
    let mut pack = PackWriter::create(&path).expect("to write");
    let storage: Vec<u8> = (0..240).collect();
    for (name, bytes) in [("model/data.pkl", data), ("model/byteorder", b"little")] {
        pack.append(name, bytes).expect("to write");
    }
    for key in 0..4 {
        pack.append(&format!("model/data/{key}"), &storage[..60 * (key + 1)]).expect("to write");
    }
    pack.finish().expect("to write");
    let length = path.metadata().expect("its length").len();
    let _ = read(File::open(&path).expect("to open"), length);
});
