use super::*;
use crate::pictures::{Decoding, decode, decode_over_white};
use crate::tensors::from_safetensors;
use crate::testing;
use tch::Tensor;

fn picture(name: &str) -> Rgb {
    decode_over_white(&std::fs::read(testing::fixtures("preprocess").join(name)).unwrap()).unwrap()
}

fn tensors(name: &str) -> std::collections::BTreeMap<String, Tensor> {
    from_safetensors(&std::fs::read(testing::fixtures("preprocess").join(name)).unwrap()).unwrap()
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    tensor.contiguous().view(-1).try_into().unwrap()
}

/// As research code reads it: alpha dropped, orientation ignored.
fn plain(name: &str) -> Rgb {
    decode(&std::fs::read(testing::fixtures("preprocess").join(name)).unwrap(), Decoding::PILLOW).unwrap()
}

/// The largest and the mean difference.
fn difference(ours: &[u8], expected: &[u8]) -> (u8, f64) {
    assert_eq!(ours.len(), expected.len());
    let off = ours.iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
    (off.clone().max().unwrap(), off.map(f64::from).sum::<f64>() / ours.len() as f64)
}

/// Preprocessed by transformers and torchvision, kept as float16: half of its last place is at most 1e-3 at these sizes.
/// From JPEG, the decoders differ by up to 4 levels of 255, which is what the larger tolerances are.
#[test]
fn whole_pipelines_agree_with_their_libraries() {
    let pipelines = [
        ("vit", Preprocess::vit(224), 0.04),
        ("clip", Preprocess::clip(224), 0.076),
        ("resnet", Preprocess::resnet(), 0.088),
    ];
    for (file, is_jpeg) in [("gray.png", false), ("rgba.png", false), ("cmyk.jpg", true), ("exif.jpg", true)] {
        let expected = tensors(&format!("{}.safetensors", file.split('.').next().unwrap()));
        for (name, preprocess, of_jpeg) in &pipelines {
            let mut slot = vec![0.0; preprocess.values()];
            preprocess.worker().write(&plain(file), &mut slot).unwrap();
            let ours = Tensor::from_slice(&slot).view([224, 224, 3]).permute([2, 0, 1]);
            let off = (ours - expected[*name].to_kind(tch::Kind::Float)).abs();
            let (largest, mean) = (off.max().double_value(&[]), off.mean(tch::Kind::Float).double_value(&[]));
            println!("{file} {name}: largest {largest:.5}, mean {mean:.6}");
            let most = if is_jpeg { *of_jpeg } else { 1.5e-3 };
            // A tenth of the largest: half a level of five.
            assert!(largest < most && mean < most / 10.0, "{file} {name}: {largest}, mean {mean}");
        }
    }
}

/// Pillow's bytes of every picture as a whole, resized: equal from PNG; from JPEG, 4 levels of 255 at most and half a level in
/// the mean.
#[test]
fn whole_pictures_resize_as_in_pillow() {
    let expected = tensors("small.safetensors");
    let pictures = [
        "gray.png",
        "rgba.png",
        "palette.png",
        "tiny.png",
        "strip.png",
        "gray_alpha.png",
        "cmyk.jpg",
        "exif.jpg",
        "progressive.jpg",
        "gray.jpg",
    ];
    let mut compared = 0;
    let mut check = |file: &str, key: &str, ours: &[u8]| {
        let (largest, mean) = difference(ours, &bytes(&expected[key]));
        println!("{key}: largest {largest}, mean {mean:.3}");
        let bounds = if file.ends_with(".jpg") { (4, 0.5) } else { (0, 0.0) };
        assert!(largest <= bounds.0 && mean <= bounds.1, "{key}: largest {largest}, mean {mean}");
        compared += 1;
    };
    for file in pictures {
        let name = if file == "gray.jpg" { "gray_jpeg" } else { file.split('.').next().unwrap() };
        let picture = plain(file);
        for (filter, kind) in [("bilinear", Filter::Bilinear), ("bicubic", Filter::Bicubic)] {
            let resizer = Resizer::new((picture.width, picture.height), (32, 32), kind);
            check(file, &format!("{name}.{filter}32"), &resizer.resize(&picture).bytes);
        }
        if expected.contains_key(&format!("{name}.decoded")) {
            check(file, &format!("{name}.decoded"), &picture.bytes);
        }
        if expected.contains_key(&format!("{name}.resnet_hf_corner")) {
            let (resized, corner) = Preprocess::resnet_microsoft().worker().resized(&picture).unwrap();
            check(file, &format!("{name}.resnet_hf_corner"), &cut(&resized, corner));
        }
    }
    // Gray, palette and true-colour pictures with transparency, over white.
    for name in ["rgba", "palette", "gray_alpha"] {
        let picture = picture(&format!("{name}.png"));
        let resizer = Resizer::new((picture.width, picture.height), (32, 32), Filter::Bilinear);
        check("", &format!("{name}.over_white.bilinear32"), &resizer.resize(&picture).bytes);
    }
    assert!(compared >= 29 + 3, "only {compared} were compared");
}

/// The first 32 × 32 pixels from a corner on.
fn cut(picture: &Rgb, (left, top): (usize, usize)) -> Vec<u8> {
    (0..32).flat_map(|y| picture.bytes[((top + y) * picture.width + left) * 3..][..96].to_vec()).collect()
}

/// BLIP takes the whole picture, with Pillow's bicubic bytes and CLIP's mean and deviation.
#[test]
fn blip_takes_whole_pictures() {
    let expected = tensors("small.safetensors");
    for name in ["gray", "rgba", "palette", "tiny", "strip"] {
        let preprocess = Preprocess::blip(32);
        let mut slot = vec![0.0; preprocess.values()];
        preprocess.worker().write(&plain(&format!("{name}.png")), &mut slot).unwrap();
        let bytes = bytes(&expected[&format!("{name}.bicubic32")]);
        let value = |(at, &byte): (usize, &u8)| (f64::from(byte) / 255.0 - CLIP_MEAN[at % 3]) / CLIP_STD[at % 3];
        let off =
            bytes.iter().enumerate().map(value).zip(&slot).map(|(expected, &ours)| (expected - f64::from(ours)).abs());
        assert_eq!(bytes.len(), slot.len(), "{name}");
        assert!(off.fold(0.0, f64::max) < 1e-6, "{name}");
    }
    assert_eq!(Preprocess::blip(384).values(), 3 * 384 * 384);
}

/// The second ResNet-50 of torchvision sees a little more of the picture.
#[test]
fn the_second_resnet_resizes_to_232() {
    let (resized, corner) = Preprocess::resnet_v2().worker().resized(&picture("gray.png")).unwrap();
    // 300 × 203: int(232 · 300 / 203) = 342, (342 − 224)/2 = 59.
    assert_eq!((resized.width, resized.height, corner), (342, 232, (59, 4)));
}

/// Pillow's own bytes after resizing and cutting out, for extreme shapes.
#[test]
fn crops_are_cut_where_the_libraries_cut_them() {
    let expected = tensors("small.safetensors");
    for name in ["tiny", "strip"] {
        let (resized, (left, top)) = Preprocess::clip(224).worker().resized(&picture(&format!("{name}.png"))).unwrap();
        let ours = (0..224).step_by(4).flat_map(|y| (0..224).step_by(4).map(move |x| (x, y)));
        let ours: Vec<u8> =
            ours.flat_map(|(x, y)| resized.bytes[((top + y) * resized.width + left + x) * 3..][..3].to_vec()).collect();
        assert!(ours == bytes(&expected[&format!("{name}.clip224")]), "{name}");
    }
}

/// Values are those of the definition, for pictures of changing sizes.
#[test]
fn values_are_normalized_levels() {
    let preprocess = Preprocess::lite(32);
    let mut worker = preprocess.worker();
    for name in ["tiny.png", "palette.png", "tiny.png"] {
        let mut slot = vec![0.0; preprocess.values()];
        worker.write(&picture(name), &mut slot).unwrap();
        let resized = worker.resized(&picture(name)).unwrap().0;
        let expected: Vec<f32> = resized.bytes.iter().map(|&level| (f32::from(level) - 127.0) / 128.0).collect();
        assert_eq!(slot, expected);
    }
}

/// The narrowest picture that is decoded can be prepared for every encoder.
#[test]
fn every_picture_that_is_decoded_can_be_prepared() {
    let longest = crate::pictures::MOST_RATIO as usize;
    for preprocess in [
        Preprocess::lite(1024),
        Preprocess::vit(224),
        Preprocess::clip(224),
        Preprocess::resnet(),
        Preprocess::resnet_v2(),
        Preprocess::resnet_microsoft(),
        Preprocess::blip(384),
    ] {
        for (width, height) in [(1, longest), (longest, 1)] {
            preprocess.geometry(width, height).unwrap();
        }
    }
}

#[test]
fn pictures_that_cannot_be_prepared_are_errors() {
    let mut slot = vec![0.0; Preprocess::clip(224).values()];
    let mut write = |width: usize, height: usize| {
        let picture = Rgb { width, height, bytes: vec![0; 3 * width * height] };
        Preprocess::clip(224).worker().write(&picture, &mut slot).map_err(|e| e.to_string())
    };
    assert!(write(0, 5).unwrap_err().contains("0 × 5"));
    assert!(write(1, 5000).unwrap_err().contains("too narrow"));
    assert!(write(1, 1).is_ok());
}
