//! Options of experiment files.

use super::super::{ImageEncoderOptions, Pooling, Precision, TextEncoderOptions};

fn image(text: &str) -> Result<ImageEncoderOptions, String> {
    toml::from_str::<ImageEncoderOptions>(text).map_err(|error| error.to_string())?.resolved()
}

fn text(text: &str) -> Result<TextEncoderOptions, String> {
    toml::from_str::<TextEncoderOptions>(text).map_err(|error| error.to_string())?.resolved()
}

#[test]
fn defaults_are_those_of_the_weights() {
    for (name, pooling, size) in [
        ("efficientnet-lite0", None, Some(224)),
        ("vit-b16-in21k", Some(Pooling::Cls), None),
        ("resnet-50", None, None),
        ("clip-vit-b32", None, None),
        ("blip-itm-base-coco", Some(Pooling::Cls), None),
    ] {
        let options = image(&format!("name = \"{name}\"")).unwrap();
        assert_eq!((options.pooling, options.size), (pooling, size), "{name}");
        assert_eq!(options.resolved().as_ref(), Ok(&options), "{name}");
    }
    // A fixed size may be stated, and is not part of the key.
    for (name, size) in [("vit-b16-in21k", 224), ("blip-itm-base-coco", 384)] {
        let name = format!("name = \"{name}\"");
        assert_eq!(image(&format!("{name}\nsize = {size}")), image(&name));
    }
    for (name, pooling, max_length) in [
        ("all-minilm-l6-v2", Some(Pooling::Mean), 256),
        ("bert-base-uncased", Some(Pooling::Cls), 512),
        ("distilbert-base-uncased", Some(Pooling::Cls), 512),
        ("clip-vit-b32", None, 77),
        ("blip-itm-base-coco", Some(Pooling::Cls), 512),
    ] {
        let options = text(&format!("name = \"{name}\"")).unwrap();
        assert_eq!((options.pooling, options.max_length), (pooling, Some(max_length)), "{name}");
    }
    let options = text("name = \"all-minilm-l6-v2\"\npooling = \"cls\"\nmax-length = 5").unwrap();
    assert_eq!((options.pooling, options.max_length), (Some(Pooling::Cls), Some(5)));
    image("name = \"blip-itm-base-coco\"\npooling = \"projection\"\nnormalize = true").unwrap();
}

#[test]
fn options_that_cannot_be_used_are_named() {
    for (options, part) in [
        ("name = \"eficientnet-lite0\"", "unknown encoder `eficientnet-lite0`"),
        ("name = \"eficientnet-lite0\"", "did you mean `efficientnet-lite0`?"),
        ("name = \"efficientnet-lite0\"\nsize = 100", "multiple of 32 up to 1024, found 100"),
        ("name = \"efficientnet-lite0\"\nsize = 0", "multiple of 32"),
        ("name = \"efficientnet-lite0\"\nsize = 2048", "multiple of 32"),
        ("name = \"efficientnet-lite0\"\nprecision = \"half\"", "unknown variant `half`"),
        ("name = \"vit-b16-in21k\"\nsize = 384", "`size` should be 224"),
        ("name = \"vit-b16-in21k\"\npooling = \"mean\"", "should be \"cls\" or \"pooler\", found \"mean\""),
        ("name = \"vit-b16-in21k\"\nnormalize = true", "no option `normalize`"),
        ("name = \"resnet-50\"\npooling = \"cls\"", "no option `pooling`"),
        ("name = \"resnet-50-v2\"\nnormalize = true", "no option `normalize`"),
        ("name = \"clip-vit-b32\"\nside = 3", "unknown field `side`"),
        ("name = \"blip-itm-base-coco\"\nsize = 224", "`size` should be 384"),
        ("name = \"blip-itm-base-coco\"\npooling = \"pooler\"", "`pooling` should be"),
        ("name = \"blip-itm-base-coco\"\nnormalize = true", "`normalize` needs `pooling"),
    ] {
        let error = image(options).unwrap_err();
        assert!(error.contains(part), "{options}: {error}");
    }
    for (options, part) in [
        ("name = \"all-minilm-l6-v2\"\nmax-length = 2", "`max-length` should be between 3 and 512, found 2"),
        ("name = \"all-minilm-l6-v2\"\nmax-length = 513", "between 3 and 512"),
        ("name = \"all-minilm-l6-v2\"\npooling = \"max\"", "unknown variant `max`"),
        ("name = \"all-minilm-l6-v2\"\nlength = 5", "unknown field `length`"),
        ("name = \"distilbert-base-uncased\"\npooling = \"pooler\"", "these weights have no pooler"),
        ("name = \"clip-vit-b32\"\nmax-length = 78", "between 3 and 77"),
        ("name = \"blip-itm-base-coco\"\nmax-length = 513", "between 3 and 512"),
    ] {
        let error = text(options).unwrap_err();
        assert!(error.contains(part), "{options}: {error}");
    }
}

/// Keys hold what is written: options that are set, and none that were added later and have their default.
#[test]
fn only_options_that_are_set_are_written() {
    fn written(options: impl serde::Serialize) -> Vec<String> {
        let value = serde_json::to_value(options).unwrap();
        value.as_object().unwrap().keys().cloned().collect()
    }
    let lite0 = image("name = \"efficientnet-lite0\"").unwrap();
    assert_eq!(written(&lite0), ["name", "size"]);
    let half = ImageEncoderOptions { precision: Precision::Bfloat16, tf32: true, ..lite0 };
    assert_eq!(written(half).len(), 4);
    assert_eq!(written(image("name = \"clip-vit-b32\"\nnormalize = true").unwrap()), ["name", "normalize"]);
    let mut minilm = written(text("name = \"all-minilm-l6-v2\"").unwrap());
    minilm.sort_unstable();
    assert_eq!(minilm, ["max-length", "name", "pooling"]);
}
