use std::io::{Cursor, Write};

use proptest::prelude::*;
use tch::{Device, Kind};
use zip::write::SimpleFileOptions;

use super::*;
use crate::testing::own_fixtures;

fn read_bytes(bytes: &[u8]) -> anyhow::Result<BTreeMap<String, Tensor>> {
    read(Cursor::new(bytes), bytes.len() as u64)
}

fn good() -> Vec<u8> {
    std::fs::read(own_fixtures("encoders/pth_zip").join("good.pth")).unwrap()
}

fn error(bytes: &[u8]) -> String {
    format!("{:#}", read_bytes(bytes).unwrap_err())
}

/// The members of the good file, to be written anew after a change.
fn members() -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(good())).unwrap();
    (0..zip.len())
        .map(|i| {
            let mut member = zip.by_index(i).unwrap();
            let mut content = Vec::new();
            member.read_to_end(&mut content).unwrap();
            (member.name().unwrap().into_owned(), content)
        })
        .collect()
}

fn written(members: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(name.as_str(), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The good file after a change of its members.
fn changed(change: impl Fn(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let mut members = members();
    change(&mut members);
    written(&members, CompressionMethod::Stored)
}

#[test]
fn files_that_are_not_as_torch_writes_them_are_refused_with_a_reason() {
    let content = |name: &'static str, change: fn(&mut Vec<u8>)| {
        changed(|members| {
            change(&mut members.iter_mut().find(|(known, _)| known.ends_with(name)).expect("a member of the file").1);
        })
    };
    assert_eq!(read_bytes(&changed(|_| ())).unwrap().len(), read_bytes(&good()).unwrap().len());
    for (bytes, reason) in [
        (content("/byteorder", |order| *order = b"big".to_vec()), "should be little-endian, says \"big\""),
        (content("/data/0", |data| data.truncate(8)), "should have 24 bytes, has 8"),
        (content("/data/0", |data| data.push(0)), "should have 24 bytes, has 25"),
        (content("/data.pkl", |pickle| pickle.push(0)), "left over behind the pickle"),
        (content("/data.pkl", |pickle| pickle[1] = 4), "a pickle of protocol 2 should begin here"),
        (content("/data.pkl", Vec::clear), "cut short"),
        (content("/data.pkl", |pickle| *pickle = b"\x80\x02cos\nsystem\n.".to_vec()), "`os.system`"),
        (
            changed(|members| members.retain(|(name, _)| !name.ends_with("/data/1"))),
            "the storage \"1\" is not in the file",
        ),
        (changed(|members| members.retain(|(name, _)| !name.ends_with("/data.pkl"))), "no `NAME/data.pkl`"),
        (changed(|members| members.push(("other/data.pkl".into(), Vec::new()))), "2 members named `NAME/data.pkl`"),
        (written(&members(), CompressionMethod::Deflated), "is compressed"),
        (b"PK\x03\x04 no archive".to_vec(), "not a readable zip archive"),
    ] {
        let error = error(&bytes);
        assert!(error.contains(reason) && error.len() < 600, "{reason}: {error}");
    }
    // Archives of today without a byte order are older files, which were little-endian all.
    assert!(read_bytes(&changed(|members| members.retain(|(name, _)| !name.ends_with("byteorder")))).is_ok());
    // A changed element does not fit the checksum.
    let mut bytes = good();
    let mut zip = ZipArchive::new(Cursor::new(good())).unwrap();
    let at = zip.by_name("good/data/0").unwrap().data_start().unwrap() as usize;
    bytes[at] ^= 1;
    assert!(error(&bytes).contains("the member \"good/data/0\""), "{}", error(&bytes));
}

/// A storage that many tensors name is read once, and cannot be named a million times.
#[test]
fn small_files_do_not_ask_for_much_memory() {
    let pickle = |tensors: usize, elements: u32| {
        let mut opcodes = b"\x80\x02}".to_vec();
        for n in 0..tensors {
            let name = n.to_string();
            opcodes.extend([b"X".as_slice(), &(name.len() as u32).to_le_bytes(), name.as_bytes()].concat());
            opcodes.extend(b"ctorch._utils\n_rebuild_tensor\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu");
            opcodes.extend([b"J".as_slice(), &elements.to_le_bytes(), b"tQK\0"].concat());
            opcodes.extend([b"(J".as_slice(), &elements.to_le_bytes(), b"t(K\x01ttRs"].concat());
        }
        opcodes.push(b'.');
        opcodes
    };
    let file = |tensors: usize, elements: u32, bytes: usize| {
        let members = [("a/data.pkl".to_owned(), pickle(tensors, elements)), ("a/data/0".to_owned(), vec![0; bytes])];
        written(&members, CompressionMethod::Stored)
    };
    let tensors = read_bytes(&file(3, 100, 400)).unwrap();
    assert_eq!(tensors["2"], Tensor::zeros([100], (Kind::Float, Device::Cpu)));
    assert!(error(&file(100, 10_000, 40_000)).contains("too much for a file of"));
    assert!(error(&file(1, 1 << 30, 400)).contains("too much for a file of"));
    assert!(error(&file(1, 1000, 400)).contains("should have 4000 bytes, has 400"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// Whatever is changed inside the pickle, where checksums do not catch it first, reading ends with tensors or an error.
    #[test]
    fn changed_pickles_never_panic(at in 0usize..100_000, byte: u8) {
        let bytes = changed(|members| {
            let pickle = &mut members.iter_mut().find(|(name, _)| name.ends_with("data.pkl")).unwrap().1;
            let n = pickle.len();
            pickle[at % n] = byte;
        });
        let _ = read_bytes(&bytes);
    }
}
