use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};
use tempfile::NamedTempFile;

use ::tar::{EntryType, Header};

/// A tar, written block by block, so that it may contain what no library writes.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn entry(mut self, kind: EntryType, name: &[u8], size: u64, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.content(content)
    }

    fn content(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name.as_bytes(), content.len() as u64, content)
    }

    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut text = Vec::new();
        for (key, value) in records {
            // The length counts its own digits.
            let bare = key.len() + value.len() + 3;
            let length = (bare + 1..).find(|length| bare + length.to_string().len() == *length).unwrap();
            text.extend_from_slice(format!("{length} {key}=").as_bytes());
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.entry(EntryType::XHeader, b"pax", text.len() as u64, &text)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn on_disk(bytes: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// All members of an archive.
fn members(bytes: &[u8]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let file = on_disk(bytes);
    let mut members = Vec::new();
    Archive::open(file.path())?.walk(&Interrupt::default(), &mut |entry, content| {
        let bytes = content.read_all(16 << 20)?;
        assert_eq!(entry.size, bytes.len() as u64);
        members.push((entry.name.clone(), bytes));
        Ok(())
    })?;
    Ok(members)
}

/// The error for a refused archive. It must name the entry.
#[track_caller]
fn refusal(bytes: &[u8], entry: &str) -> String {
    let error = members(bytes).expect_err("the archive should be refused");
    let message = format!("{error:#}");
    assert!(message.contains(entry), "{message}");
    assert!(errors::hint_of(&error).is_some(), "no hint: {message}");
    message
}

fn noise(length: u32) -> Vec<u8> {
    (0..length.div_ceil(4)).flat_map(|i| (i ^ 77).wrapping_mul(i ^ 2_654_435_761).to_le_bytes()).collect()
}

fn expected(names: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    names.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect()
}

#[test]
fn tars_are_walked_in_their_order() {
    let long = "d/".repeat(150) + "x.jpg";
    let tar = Tar::default()
        .entry(EntryType::Directory, b"./", 0, b"")
        .entry(EntryType::Directory, b"./b/", 0, b"")
        .file("./b/two", &noise(3000))
        .file("a", b"1")
        .file("empty", b"")
        // Before POSIX, a folder was a file whose name ends in a slash.
        .entry(EntryType::Regular, b"old/", 0, b"")
        .entry(EntryType::GNULongName, b"././@LongLink", long.len() as u64 + 1, format!("{long}\0").as_bytes())
        .file("cut off", b"gnu")
        .pax(&[("path", "naïve/日本.jpg".as_bytes()), ("SCHILY.xattr.user", b"\n\0 = 3\n"), ("size", b"3")])
        .file("replaced", b"pax")
        .end();
    let all =
        expected(&[("b/two", &noise(3000)), ("a", b"1"), ("empty", b""), (&long, b"gnu"), ("naïve/日本.jpg", b"pax")]);
    assert_eq!(members(&tar).unwrap(), all);
    assert_eq!(members(&gzip(&tar)).unwrap(), all);
    // A stream of two gzip members is one stream.
    let (first, second) = tar.split_at(700);
    assert_eq!(members(&[gzip(first), gzip(second)].concat()).unwrap(), all);
    assert!(Archive::open(on_disk(&tar).path()).unwrap().zip().is_none());
}

/// What the `tar` crate writes, which is what GNU tar writes.
#[test]
fn tars_of_other_writers_are_read() {
    let mut builder = ::tar::Builder::new(Vec::new());
    let long = format!("mmimdb/dataset/{}.json", "9".repeat(120));
    for (name, content) in [("mmimdb/split.json", &b"{}"[..]), (&long, &noise(5000))] {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, name, content).unwrap();
    }
    let tar = builder.into_inner().unwrap();
    assert_eq!(members(&gzip(&tar)).unwrap(), expected(&[("mmimdb/split.json", b"{}"), (&long, &noise(5000))]));
}

/// Hateful Memes has its pictures in a gzipped tar inside the zip; what lies in that is not opened further.
#[test]
fn archives_inside_are_walked_one_level_deep() {
    let inner = Tar::default().file("img/01.png", b"png").file("img/more.tar", b"not opened").end();
    let all = [
        ("data/train.jsonl", &b"{}"[..]),
        ("data/img.tar.gz", &gzip(&inner)),
        ("plain.TAR", &inner),
        ("LICENSE", b"terms"),
    ];
    let wanted = expected(&[
        ("data/train.jsonl", b"{}"),
        ("data/img.tar.gz/img/01.png", b"png"),
        ("data/img.tar.gz/img/more.tar", b"not opened"),
        ("plain.TAR/img/01.png", b"png"),
        ("plain.TAR/img/more.tar", b"not opened"),
        ("LICENSE", b"terms"),
    ]);
    assert_eq!(members(&pack(&all)).unwrap(), wanted);
    let tar = all.iter().fold(Tar::default(), |tar, (name, content)| tar.file(name, content)).end();
    assert_eq!(members(&tar).unwrap(), wanted);
    for (content, why) in [(&b""[..], "an empty file"), (b"PK\x03\x04", "is a zip"), (b"<html>", "a web page")] {
        assert!(refusal(&pack(&[("img.tar.gz", content)]), "`img.tar.gz`").contains(why), "{why}");
    }
    let cut = gzip(&inner);
    assert!(refusal(&pack(&[("img.tgz", &cut[..cut.len() - 9])]), "`img.tgz").contains("is cut short"));
}

/// Visitors need not read. What they skip is still checked in a tar.
#[test]
fn members_may_be_left_unread() {
    let inner = Tar::default().file("x", &noise(100_000)).file("y", b"").end();
    let file = on_disk(&gzip(&Tar::default().file("a", &noise(70_000)).file("b.tar", &inner).file("c", b"1").end()));
    let mut names = Vec::new();
    let archive = Archive::open(file.path()).unwrap();
    archive
        .walk(&Interrupt::default(), &mut |entry, content| {
            names.push(format!("{} {}", entry.name, entry.size));
            Ok(content.read(&mut [0; 10]).map(|_| ())?)
        })
        .unwrap();
    assert_eq!(names, ["a 70000", "b.tar/x 100000", "b.tar/y 0", "c 1"]);
}

#[test]
fn the_visitor_and_the_interrupt_end_a_walk() {
    let file = on_disk(&Tar::default().file("a", b"1").file("b", b"2").end());
    let archive = Archive::open(file.path()).unwrap();
    let error = archive.walk(&Interrupt::default(), &mut |_, _| anyhow::bail!("enough")).unwrap_err();
    assert_eq!(error.to_string(), "enough");
    let interrupt = Interrupt::default();
    let error = archive.walk(&interrupt, &mut |entry, _| {
        assert_eq!(entry.name, "a");
        interrupt.raise();
        Ok(())
    });
    assert_eq!(errors::class_of(&error.unwrap_err()), errors::Class::Interrupted);
}

#[test]
fn members_longer_than_wanted_are_not_read() {
    let file = on_disk(&Tar::default().file("a", &noise(2000)).end());
    let archive = Archive::open(file.path()).unwrap();
    let error = archive.walk(&Interrupt::default(), &mut |_, content| content.read_all(1999).map(drop)).unwrap_err();
    assert!(error.to_string().contains("`a` in ") && error.to_string().contains("2000 bytes long"), "{error}");
}

#[test]
fn names_that_could_mean_something_else_are_refused() {
    for (name, why) in [
        (&b"../up"[..], "leads out"),
        (b"a/../up", "leads out"),
        (b"/etc/passwd", "is absolute"),
        (b"C:/up", "begins with the name of a drive"),
        (b"a\\b", "backslash"),
        (b"a\x1Bb", "control character"),
        (b"caf\xE9", "not UTF-8"),
        (b"./.", "is empty"),
    ] {
        let shown = names::shown(name);
        let tar = Tar::default().entry(EntryType::Regular, name, 0, b"").end();
        assert!(refusal(&tar, &shown).contains(why), "{shown}");
        let inside = gzip(&Tar::default().file("in.tar", &tar).end());
        assert!(refusal(&inside, &shown).contains("`in.tar`"), "{shown}");
        // An honest zip of an honest name of that length, then renamed.
        let honest = vec![b'n'; name.len()];
        let zip = replaced(&pack(&[(std::str::from_utf8(&honest).unwrap(), b"")]), &honest, name);
        assert!(refusal(&zip, &shown).contains(why), "{shown}");
    }
    let long = Tar::default().pax(&[("path", &[b'x'; 5000])]).file("short", b"").end();
    assert!(refusal(&long, "xxx").contains("longer than 4096"));
    let folder = Tar::default().entry(EntryType::Directory, b"../up/", 0, b"").end();
    refusal(&folder, "\"../up/\"");
}

#[test]
fn whatever_is_no_regular_file_is_refused() {
    for (kind, what) in [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Fifo, "a pipe"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::GNUSparse, "a sparse file"),
        (EntryType::Continuous, "something of an unknown kind"),
        (EntryType::new(b'Z'), "something of an unknown kind"),
    ] {
        let tar = Tar::default().file("first", b"1").entry(kind, b"odd", 0, b"").end();
        assert!(refusal(&tar, "`odd` in ").contains(what), "{what}");
    }
    let full_folder = Tar::default().entry(EntryType::Directory, b"odd/", 3, b"abc").end();
    assert!(refusal(&full_folder, "`odd` in ").contains("a folder with content"));
    let sparse = Tar::default().pax(&[("GNU.sparse.major", b"1")]).file("odd", b"").end();
    assert!(refusal(&sparse, "").contains("a sparse file"));
    let mut writer = ::zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    writer.add_symlink("odd", "/etc/passwd", ::zip::write::SimpleFileOptions::default()).unwrap();
    assert!(refusal(&writer.finish().unwrap().into_inner(), "`odd` in ").contains("a symbolic link"));
}

#[test]
fn two_members_of_one_name_are_refused() {
    let tar = Tar::default().file("a/b", b"1").file("A/b", b"2").file("./a//b", b"3").end();
    assert!(refusal(&tar, "`a/b` in ").contains("occurs twice"));
    // A member's name may not stand for one inside an archive, either.
    let inner = Tar::default().file("x", b"1").end();
    let mixed = Tar::default().file("in.tar/x", b"2").file("in.tar", &inner).end();
    assert!(refusal(&mixed, "`in.tar/x` in ").contains("occurs twice"));
    let zip = replaced(&pack(&[("c", b"0"), ("a/b", b"1"), ("axb", b"2"), ("d", b"3")]), b"axb", b"a/b");
    refusal(&zip, "two members of one name, `a/b`");
    let zip = replaced(&pack(&[("a/b", b"1"), ("a/x/b", b"2")]), b"a/x/b", b"a/./b");
    refusal(&zip, "two members of one name, `a/b`");
}

#[test]
fn names_that_differ_in_case_are_two() {
    assert_eq!(members(&Tar::default().file("A", b"1").file("a", b"2").end()).unwrap().len(), 2);
    assert_eq!(members(&pack(&[("A", b"1"), ("a", b"2")])).unwrap().len(), 2);
}

#[test]
fn bombs_are_refused_while_they_unpack() {
    let zeros = vec![0; 8 << 20];
    let bomb = gzip(&Tar::default().file("noise", &noise(10_000)).file("zeros", &zeros).end());
    let file = on_disk(&bomb);
    let mut seen = 0;
    let error = Archive::open(file.path()).unwrap().walk(&Interrupt::default(), &mut |entry, content| {
        let mut piece = [0; 4096];
        loop {
            let n = content.read(&mut piece)?;
            if n == 0 {
                return Ok(());
            }
            seen += if entry.name == "zeros" { n } else { 0 };
        }
    });
    let message = format!("{:#}", error.unwrap_err());
    assert!(message.contains("`zeros` in ") && message.contains("more than any honest archive"), "{message}");
    assert!(seen < 3 << 20, "{seen} bytes were unpacked");
    // Behind the end, too.
    let tail = gzip(&[Tar::default().file("a", b"1").end(), zeros.clone()].concat());
    assert!(refusal(&tail, "after its member `a`").contains("more than any honest archive"));
    let inside = pack(&[("noise", &noise(30_000)), ("in.tgz", &bomb)]);
    assert!(refusal(&inside, "`in.tgz/zeros` in ").contains("more than any honest archive"));
    // Sizes that are only declared count as well.
    let claims = Tar::default().entry(EntryType::Regular, b"much", 201 << 30, b"").end();
    assert!(refusal(&claims, "`much` in ").contains("any honest archive"));
    let extension = Tar::default().entry(EntryType::XHeader, b"pax", 2 << 20, b"").end();
    assert!(refusal(&extension, "").contains("extended header of 2097152 bytes"));
}

/// Each member is small, but all of them share the same bytes.
#[test]
fn members_that_share_their_bytes_are_a_bomb_together() {
    let content = noise(8 << 10).repeat(128);
    let mut writer = ::zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let packed = ::zip::write::SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Deflated);
    writer.start_file("n000", packed).unwrap();
    writer.write_all(&content).unwrap();
    let zip = writer.finish().unwrap().into_inner();
    let directory = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let (local, rest) = zip.split_at(directory);
    let (record, end) = rest.split_at(rest.len() - 22);
    let shared = |times: u16| {
        let records: Vec<u8> =
            (0..times).flat_map(|n| replaced(record, b"n000", format!("n{n:03}").as_bytes())).collect();
        let mut end = end.to_vec();
        end[8..10].copy_from_slice(&times.to_le_bytes());
        end[10..12].copy_from_slice(&times.to_le_bytes());
        end[12..16].copy_from_slice(&(records.len() as u32).to_le_bytes());
        [local, &records, &end].concat()
    };
    assert_eq!(members(&shared(2)).unwrap().len(), 2);
    assert!(refusal(&shared(900), "`n").contains("more than any honest archive"));
}

#[test]
fn what_is_cut_short_is_never_a_shorter_archive() {
    let tar = Tar::default().file("a", &noise(600)).file("b", b"2").end();
    // The last but one block of zeros says that all is there.
    for length in (1..tar.len() - 1023).step_by(37).chain([512, 512 + 600, 512 + 1024, 2048, 2560, 3071]) {
        assert!(members(&tar[..length]).is_err(), "{length} of {}", tar.len());
    }
    assert!(refusal(&tar[..512 + 1024], "after its member `a`").contains("is cut short"));
    assert!(refusal(&tar[..512 + 500], "`a` in ").contains("ends after 500 of the 600 bytes"));
    let packed = gzip(&tar);
    for length in 20..packed.len() {
        assert!(members(&packed[..length]).is_err(), "{length} of {}", packed.len());
    }
    assert!(refusal(&packed[..300], "`a` in ").contains("is cut short"));
    assert!(refusal(&packed[..packed.len() - 9], "after its member `b`").contains("is cut short"));
    let zip = pack(&[("a", &noise(600)), ("b", b"2")]);
    for length in 4..zip.len() {
        assert!(members(&zip[..length]).is_err(), "{length} of {}", zip.len());
    }
}

/// An inspection finds what readers would find later, under the given name.
#[test]
fn an_inspection_reads_all_of_it() {
    let looked = |bytes: &[u8]| {
        let file = on_disk(bytes);
        let archive = Archive::open_as(file.path(), "memes.zip")?;
        archive.inspect(&Interrupt::default(), &crate::progress::Silent)
    };
    let inner = gzip(&Tar::default().file("img/01.png", &noise(9000)).end());
    let honest = pack(&[("train.jsonl", b"{}"), ("img.tar.gz", &inner), ("empty", b"")]);
    looked(&honest).unwrap();
    looked(&inner).unwrap();
    // One bit, in a member of the zip and in one of the tar inside.
    for (place, member) in [("{}", "`train.jsonl` in memes.zip"), ("", "`img.tar.gz` in memes.zip")] {
        let mut damaged = honest.clone();
        let at = match place {
            "" => damaged.windows(inner.len()).position(|window| window == inner).unwrap() + inner.len() / 2,
            text => damaged.windows(2).position(|window| window == text.as_bytes()).unwrap(),
        };
        damaged[at] ^= 1;
        let message = format!("{:#}", looked(&damaged).unwrap_err());
        assert!(message.contains(member), "{message}");
    }
    let interrupt = Interrupt::default();
    interrupt.raise();
    let file = on_disk(&honest);
    let stopped = Archive::open(file.path()).unwrap().inspect(&interrupt, &crate::progress::Silent).unwrap_err();
    assert_eq!(errors::class_of(&stopped), errors::Class::Interrupted);
}

#[test]
fn what_follows_the_end_is_refused() {
    let tar = Tar::default().file("a", b"1").end();
    let more = [tar.clone(), Tar::default().file("b", b"2").end()].concat();
    assert!(refusal(&more, "").contains("data after its end"));
    let garbage = [gzip(&tar), b"garbage behind it".to_vec()].concat();
    assert!(refusal(&garbage, "cannot be read").contains("invalid gzip header"));
    // Whole blocks of zeros are padding.
    assert_eq!(members(&[tar, vec![0; 8192]].concat()).unwrap().len(), 1);
}

#[test]
fn damage_is_refused() {
    let tar = Tar::default().file("a", b"1").file("b", b"2").end();
    let mut wrong_sum = tar.clone();
    wrong_sum[1024 + 3] = b'!';
    assert!(refusal(&wrong_sum, "after its member `a`").contains("no valid header"));
    let packed = gzip(&Tar::default().file("a", &noise(3000)).end());
    let mut wrong_content = packed.clone();
    let last = packed.len() - 6;
    wrong_content[last] ^= 1;
    refusal(&wrong_content, "cannot be read");
    assert!(refusal(&gzip(b"no tar at all, but text"), "").contains("is cut short at its beginning"));
    assert!(refusal(&gzip(&noise(4096)), "").contains("is not a tar"));
    for (records, why) in [
        (&b"12 path=a"[..], "damaged extended header"),
        (b"x path=a\n", "damaged extended header"),
        (b"10 size=-1\n", "damaged extended header"),
        (b"11 size=-1\n", "not a number"),
        (b"9 path=a\n9 path", "damaged extended header"),
    ] {
        let tar = Tar::default().entry(EntryType::XHeader, b"pax", records.len() as u64, records).file("a", b"").end();
        assert!(refusal(&tar, "").contains(why), "{}", String::from_utf8_lossy(records));
    }
    let two_sizes = Tar::default().pax(&[("size", b"512")]).file("a", b"1").end();
    assert!(refusal(&two_sizes, "`a` in ").contains("two sizes"));
    let global = b"12 path=all\n";
    let global = Tar::default().entry(EntryType::XGlobalHeader, b"g", 12, global).file("a", b"1").end();
    assert!(refusal(&global, "").contains("one name or size to all"));
    let dangling = Tar::default().pax(&[("path", b"a")]).end();
    assert!(refusal(&dangling, "").contains("does not follow"));
}

/// The first distribution of Hateful Memes has a password, which comes with the licence.
#[test]
fn locked_members_say_what_to_do() {
    let mut zip = pack(&[("data/train.jsonl", b"{}")]);
    // Bit 0 of the flags, in the member's header and in the directory.
    let directory = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    zip[6] |= 1;
    zip[directory + 8] |= 1;
    let error = members(&zip).unwrap_err();
    assert!(error.to_string().contains("`data/train.jsonl` in ") && error.to_string().contains("password"), "{error}");
    assert!(errors::hint_of(&error).unwrap().contains("`downloads/`"));
    let error = ZipReader::open(on_disk(&zip).path()).unwrap().read("data/train.jsonl").unwrap_err();
    assert!(error.to_string().contains("password"), "{error}");
}

#[test]
fn unknown_methods_of_packing_are_named() {
    for (method, name) in [(9, "Deflate64"), (14, "LZMA"), (93, "Zstandard"), (77, "unknown method 77")] {
        let mut zip = pack(&[("a", b"12345")]);
        let directory = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        zip[8] = method;
        zip[directory + 10] = method;
        let message = refusal(&zip, "`a` in ");
        assert!(message.contains(name), "{name}: {message}");
    }
}

fn pack(members: &[(&str, &[u8])]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pack.zip");
    crate::testing::zip(&path, members);
    std::fs::read(path).unwrap()
}

/// Replaces bytes wherever they occur.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}
