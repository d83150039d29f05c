use tch::{Device, Kind};

use super::*;
use crate::testing::fixtures;
use proptest::prelude::*;

/// A part of the error, by the name of the file.
const REASONS: &[(&str, &str)] = &[
    ("big_endian", "little-endian"),
    ("calls_a_function", "which is not part of a tensor"),
    ("calls_getattr", "which is not part of a tensor"),
    ("count_differs", "elements, the file says"),
    ("count_huge", "cut short"),
    ("count_negative", "elements, the file says -"),
    ("cut_in_data", "cut short"),
    ("cut_in_pickle", "cut short"),
    ("empty", "cut short"),
    ("expanded_from_one", "a tensor has the sizes"),
    ("key_missing", "is not in the file"),
    ("key_twice", "is listed twice"),
    ("list_in_itself", "nested more than"),
    ("negative_offset", "an offset is negative"),
    ("negative_size", "a size is negative"),
    ("nested_bomb", "parts"),
    ("reaches_outside", "reaches to element"),
    ("strides_reach_outside", "reaches to element"),
    ("whole_module", "which is not part of a tensor"),
    ("wrong_magic", "magic number"),
    ("wrong_protocol", "the protocol version should be 1001, is"),
    ("zip_format", "a pickle of protocol 2 should begin here"),
];

#[test]
fn bad_files_are_refused_with_a_reason() {
    let (mut refused, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(fixtures("encoders/legacy_pth").join("refuse")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let began = std::time::Instant::now();
        let error = format!("{:#}", read(&std::fs::read(&path).unwrap()).unwrap_err());
        let reason = REASONS.iter().find(|(file, _)| *file == name).map_or("", |(_, reason)| reason);
        if !(error.contains(reason) && error.len() < 500) {
            wrong.push(format!("{name}: {error}"));
        }
        assert!(began.elapsed().as_secs() < 5, "{name} took long");
        refused += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(refused >= 20, "only {refused} files");
}

/// A file of one storage of float32 elements, from the opcodes that make the saved object.
fn file(object: &[u8], elements: u8) -> Vec<u8> {
    let pickle = |opcodes: &[u8]| [&[0x80, 2], opcodes, b"."].concat();
    let magic = [&[0x8a, 10], MAGIC.as_slice()].concat();
    let system = [b"}".to_vec(), text("little_endian"), vec![0x88, b's']].concat();
    let keys = [b"]".to_vec(), text("0"), vec![b'a']].concat();
    let mut file = [magic, vec![b'M', 0xe9, 3], system, object.to_vec(), keys].map(|opcodes| pickle(&opcodes)).concat();
    file.extend(u64::from(elements).to_le_bytes());
    (0..elements).for_each(|n| file.extend(f32::from(n).to_le_bytes()));
    file
}

fn text(text: &str) -> Vec<u8> {
    [b"X", (text.len() as u32).to_le_bytes().as_slice(), text.as_bytes()].concat()
}

fn tuple(numbers: &[i64]) -> Vec<u8> {
    let integer = |number: &i64| [&[0x8a, 8], number.to_le_bytes().as_slice()].concat();
    [b"(".to_vec(), numbers.iter().flat_map(integer).collect(), b"t".to_vec()].concat()
}

/// Opcodes that make a tensor on the storage of [`file`].
fn tensor_on(elements: u8, offset: u8, size: &[i64], stride: &[i64]) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor\n((".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        vec![b'K', elements, b'N', b't', b'Q', b'K', offset],
        tuple(size),
        tuple(stride),
        b"tR".to_vec(),
    ]
    .concat()
}

fn one(elements: u8, offset: u8, size: &[i64], stride: &[i64]) -> Vec<u8> {
    file(&[b"}".to_vec(), text("a"), tensor_on(elements, offset, size, stride), b"s".to_vec()].concat(), elements)
}

/// Sizes whose product overflows, in tensors that have no element because one size is 0.
#[test]
fn empty_tensors_of_huge_sizes_are_refused() {
    assert_eq!(read(&one(4, 0, &[3, 0], &[1, 1])).unwrap()["a"].size(), [3, 0]);
    for size in [[1 << 62, 1 << 62, 0], [0, i64::MAX, 2], [i64::MAX, i64::MAX, i64::MAX]] {
        let error = format!("{:#}", read(&one(4, 0, &size, &[1, 1, 1])).unwrap_err());
        assert!(error.contains("sizes") || error.contains("elements"), "{error}");
    }
    let strides = read(&one(4, 3, &[1, 1], &[i64::MAX, i64::MAX])).unwrap();
    assert_eq!(strides["a"].double_value(&[0, 0]), 3.0);
    assert!(read(&one(4, 0, &[1; 17], &[1; 17])).is_err());
}

/// A small file cannot name one tensor again and again.
#[test]
fn many_names_for_one_tensor_are_refused() {
    let named = |times: usize| {
        let again: Vec<u8> = (1..times).flat_map(|n| [text(&n.to_string()), vec![b'h', 0, b's']].concat()).collect();
        let first = [text("0"), tensor_on(255, 0, &[255], &[1]), vec![b'q', 0, b's']].concat();
        file(&[b"}".to_vec(), first, again].concat(), 255)
    };
    assert_eq!(read(&named(4)).unwrap().len(), 4);
    let error = format!("{:#}", read(&named(1000)).unwrap_err());
    assert!(error.contains("too much for a file of"), "{error}");
}

/// Messages stay short, whatever a file holds.
#[test]
fn long_texts_do_not_make_long_messages() {
    let long = "long".repeat(100_000);
    for object in [
        [text(&long), b"a".to_vec()].concat(),
        [b"}".to_vec(), text(&long), tensor_on(4, 0, &[4], &[1]), b"s".to_vec()].concat(),
        [b"(".to_vec(), text(&long), b"NN".to_vec(), text("cpu"), b"NNtQ".to_vec()].concat(),
        [b"c".to_vec(), long.as_bytes().to_vec()].concat(),
    ] {
        let error = format!("{:#}", read(&file(&object, 4)).unwrap_err());
        assert!(error.len() < 500, "{} bytes: {}", error.len(), &error[..500]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// Any window on a storage is what libtorch sees there.
    #[test]
    fn windows_are_those_of_libtorch(
        axes in proptest::collection::vec((0i64..4, 0i64..6), 0..4),
        offset in 0u8..40,
    ) {
        let (size, stride): (Vec<i64>, Vec<i64>) = axes.into_iter().unzip();
        let storage = Tensor::arange(120, (Kind::Float, Device::Cpu));
        // An expanded tensor may ask for more elements than there are; these are too small for that.
        let found = read(&one(120, offset, &size, &stride)).unwrap();
        prop_assert_eq!(&found["a"], &storage.as_strided(&size, &stride, i64::from(offset)));
    }
}
