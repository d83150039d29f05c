#![no_main]
//! Tars, gzipped and inside one another: the bytes as they are, as a gzip stream's content, and as a member of a tar.

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use seesaw::archives::{Archive, PackWriter};
use seesaw::interrupt::Interrupt;

fn walk(path: &std::path::Path) {
    let Ok(archive) = Archive::open(path) else { return };
    let _ = archive.walk(&Interrupt::default(), &mut |entry, content| {
        assert!(!entry.name.starts_with('/'));
        assert!(entry.name.split('/').all(|part| !matches!(part, "" | "." | "..")), "{}", entry.name);
        assert!(!entry.name.contains(char::is_control));
        // Some members are left unread.
        if entry.size % 3 > 0 {
            assert_eq!(content.read_all(16 << 20)?.len() as u64, entry.size);
        }
        Ok(())
    });
}

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(data).expect("to write it");
    walk(file.path());
    if data.first().is_some_and(|byte| byte % 8 == 0) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("outer.zip");
        let mut pack = PackWriter::create(&path).expect("to write");
        pack.append("data/img.tar.gz", data).expect("to write");
        pack.finish().expect("to write");
        walk(&path);
    }
});
