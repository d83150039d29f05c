#![no_main]
//! Zips: random access, and the walk, over the same bytes. Each has to give the other's content, or to refuse.

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use seesaw::archives::{Archive, ZipReader};
use seesaw::interrupt::Interrupt;

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(data).expect("to write it");
    if let Ok(mut reader) = ZipReader::open(file.path()) {
        for name in reader.names().to_vec() {
            assert!(!name.starts_with('/') && name.split('/').all(|part| !matches!(part, "" | "." | "..")));
            let _ = reader.read(&name);
        }
    }
    let Ok(archive) = Archive::open(file.path()) else { return };
    let mut random = archive.zip().cloned();
    let _ = archive.walk(&Interrupt::default(), &mut |entry, content| {
        let bytes = content.read_all(16 << 20)?;
        assert_eq!(bytes.len() as u64, entry.size);
        if let Some(bytes_too) = random.as_mut().and_then(|zip| zip.read(&entry.name).ok()) {
            assert_eq!(bytes, bytes_too);
        }
        Ok(())
    });
});
