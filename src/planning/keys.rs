//! Tests of the keys of real steps: golden values, and what changes them.

use std::sync::Arc;

use crate::datasets::{DatasetOptions, reader};
use crate::digest::Digest;
use crate::encoders::ImageEncoderOptions;
use crate::engine::key::{Environment, Inputs, ingredients};
use crate::methods::{BalGrad, KlScale, MethodOptions};
use crate::pictures::Decoding;
use crate::steps::Step;
use crate::steps::encode::{Encode, Encoder, Part};
use crate::steps::prepare::Prepare;
use crate::steps::train::Train;
use crate::terms::Split;

fn here() -> Environment {
    Environment { device: "cpu".into(), architecture: "x86_64".into(), libtorch: "2.13.0".into() }
}

fn inputs(roles: &[&str]) -> Inputs {
    roles.iter().map(|role| ((*role).into(), Ok(Digest::of(role.as_bytes()).into()))).collect()
}

fn train(seed: u64) -> Train {
    let settings = r#"{"epochs": 20, "fusion": "concat", "optimizer": {"name": "adam", "learning-rate": 0.001}}"#;
    Train {
        dataset: "emoji-words".into(),
        name: "balgrad".into(),
        candidate: None,
        method: MethodOptions::BalGrad(BalGrad::default()),
        config: Arc::new(serde_json::from_str(settings).unwrap()),
        seed,
    }
}

/// The keys of three steps. If one of them changes, every store computes that step again, and all that depend on it. If the
/// computation changed, that is right: raise its recipe version, and pin the new key here. If it did not (a field was
/// renamed or moved, or a label got into the key), undo the change.
#[test]
fn keys_of_steps_never_change() {
    let keys = [
        ingredients(
            &Prepare::new("emoji-words", reader("emoji-words").unwrap(), DatasetOptions::None, None).into(),
            &inputs(&["archive emoji.whl"]),
            &here(),
        ),
        ingredients(
            &Step::from(Encode {
                called: "all-minilm-l6-v2".into(),
                dataset: "emoji-words".into(),
                part: Part::Split(Split::Test),
                encoder: Encoder::Image(ImageEncoderOptions {
                    name: "efficientnet-lite0".into(),
                    size: Some(128),
                    ..ImageEncoderOptions::default()
                }),
                decoding: Decoding::OVER_WHITE,
            }),
            &inputs(&["archive weights.whl", "items"]),
            &here(),
        ),
        ingredients(&train(1).into(), &inputs(&["about", "train image", "train samples"]), &here()),
    ]
    .map(|list| list.key().to_string());
    assert_eq!(
        keys,
        [
            "9bb84b965e8ce6bc3493c0b31fdf0d3b6ce841174d7ad33bc8bbfff404dc8a64",
            "8c4065bcc503266472f51754c53da2877da4fb9e3099afa12f3dcf5511a8b441",
            "4d92f4b902a7ebbc5c3db4dc6631257ceb0ae9f856324197038cffcd05f953e0",
        ]
    );
}

/// The table of [`crate::engine::key`] says what changes a key; names and labels do not.
#[test]
fn only_what_matters_is_in_the_key() {
    let key = |step: &Train, roles: &[&str], environment: &Environment| {
        ingredients(&step.clone().into(), &inputs(roles), environment).key()
    };
    let roles = ["about", "train image"];
    let plain = key(&train(1), &roles, &here());
    assert_ne!(plain, key(&train(2), &roles, &here()), "seed");
    let mut step = train(1);
    Arc::make_mut(&mut step.config).epochs = 21;
    assert_ne!(plain, key(&step, &roles, &here()), "hyperparameter");
    let mut step = train(1);
    step.method = MethodOptions::BalGrad(BalGrad { kl_scale: KlScale::Factor(2.0), ..BalGrad::default() });
    assert_ne!(plain, key(&step, &roles, &here()), "option of the method");
    assert_ne!(plain, key(&train(1), &["about", "train text"], &here()), "input");
    for environment in [
        Environment { device: "cuda".into(), ..here() },
        Environment { architecture: "aarch64".into(), ..here() },
        Environment { libtorch: "2.14.0".into(), ..here() },
    ] {
        assert_ne!(plain, key(&train(1), &roles, &environment), "{environment:?}");
    }
    let mut step = train(1);
    (step.dataset, step.name) = ("another name for the same features".into(), "another name".into());
    assert_eq!(plain, key(&step, &roles, &here()), "names are not part of it");
}
