use super::*;
use crate::datasets::picture::decode_over_white;
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

/// Preprocessed by transformers and torchvision, kept as float16: half of its last place is at most 1e-3 at these sizes.
#[test]
fn whole_pipelines_agree_with_their_libraries() {
    let expected = tensors("gray.safetensors");
    let pipelines = [("vit", Preprocess::vit(224)), ("clip", Preprocess::clip(224)), ("resnet", Preprocess::resnet())];
    for (name, preprocess) in pipelines {
        let mut slot = vec![0.0; preprocess.values()];
        preprocess.worker().write(&picture("gray.png"), Layout::ChannelsFirst, &mut slot).unwrap();
        let ours = Tensor::from_slice(&slot).view([3, 224, 224]);
        let difference = (ours - expected[name].to_kind(tch::Kind::Float)).abs().max().double_value(&[]);
        assert!(difference < 1.5e-3, "{name}: {difference}");
    }
}

/// Pillow's own bytes after resizing and cutting out, for extreme shapes and for the bicubic ResNet.
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
    let (resized, (left, top)) = Preprocess::resnet_microsoft().worker().resized(&picture("gray.png")).unwrap();
    let ours: Vec<u8> =
        (0..32).flat_map(|y| resized.bytes[((top + y) * resized.width + left) * 3..][..96].to_vec()).collect();
    assert!(ours == bytes(&expected["gray.resnet_hf_corner"]));
}

/// Gray, palette and true-colour pictures with transparency, over white, as Pillow lays them.
#[test]
fn transparent_pictures_show_white() {
    let expected = tensors("small.safetensors");
    for name in ["rgba", "palette", "gray_alpha"] {
        let picture = picture(&format!("{name}.png"));
        let resizer = Resizer::new((picture.width, picture.height), (32, 32), Filter::Bilinear);
        let expected = bytes(&expected[&format!("{name}.over_white.bilinear32")]);
        let ours = resizer.resize(&picture).bytes;
        let off = ours.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!((ours.len(), off), (expected.len(), Some(0)), "{name}");
    }
}

/// Both layouts hold the same values, those of the definition, for pictures of changing sizes.
#[test]
fn layouts_differ_in_order_alone() {
    let preprocess = Preprocess::lite(32);
    let mut worker = preprocess.worker();
    for name in ["tiny.png", "palette.png", "tiny.png"] {
        let (mut first, mut last) = (vec![0.0; preprocess.values()], vec![0.0; preprocess.values()]);
        worker.write(&picture(name), Layout::ChannelsFirst, &mut first).unwrap();
        worker.write(&picture(name), Layout::ChannelsLast, &mut last).unwrap();
        let resized = worker.resized(&picture(name)).unwrap().0;
        for (i, &level) in resized.bytes.iter().enumerate() {
            let value = (f32::from(level) - 127.0) / 128.0;
            assert_eq!((last[i], first[i % 3 * 1024 + i / 3]), (value, value));
        }
    }
}

#[test]
fn pictures_that_cannot_be_prepared_are_errors() {
    let mut slot = vec![0.0; Preprocess::clip(224).values()];
    let mut write = |width: usize, height: usize| {
        let picture = Rgb { width, height, bytes: vec![0; 3 * width * height] };
        Preprocess::clip(224).worker().write(&picture, Layout::ChannelsFirst, &mut slot).map_err(|e| e.to_string())
    };
    assert!(write(0, 5).unwrap_err().contains("0 × 5"));
    assert!(write(1, 5000).unwrap_err().contains("too narrow"));
    assert!(write(1, 1).is_ok());
}
