//! The key of a step: everything that can change its result, and nothing that cannot.
//!
//! | in the key | why |
//! |---|---|
//! | the kind of step and its recipe version | another way of computing gives another result |
//! | every parameter of the step ([`Step::ingredients`]) | options, hyperparameters, seeds, recipe versions of readers, encoders and methods |
//! | role and SHA-256 of every input | data, masks, features and weights count by content, however they were made |
//! | role and reason of every absent input | a table shows why a number is missing |
//! | for steps on tensors: kind of device, processor architecture, libtorch's version | float sums differ between them |
//!
//! | not in the key | why |
//! |---|---|
//! | paths, names of hosts and users, file times | moving the project, the store or the data changes no result |
//! | number of threads, number of the GPU | work is divided by the data alone |
//! | URLs, mirrors, pip | a download counts by its verified content |
//! | the suite's name, the labels, the order of steps | the same training in two suites is one training |
//! | the version of this program | recipe versions stand for what matters in it |

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::steps::{Absence, Step};
use crate::store::Ingredients;

/// What of the machine can change a tensor's last bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `cpu` or `cuda`.
    pub device: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// `2.13.0`.
    pub libtorch: String,
}

impl Environment {
    /// This machine with this device.
    pub fn here(device: tch::Device) -> Self {
        Environment {
            device: if device.is_cuda() { "cuda" } else { "cpu" }.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            libtorch: env!("SEESAW_LIBTORCH_VERSION").to_owned(),
        }
    }
}

/// The inputs of a step by role: the content's digest, or why there is none.
pub type Inputs = BTreeMap<String, Result<Digest, Absence>>;

/// The ingredient that stands for an absent input: [`Absence::to_json`].
pub fn absent_input(role: &str) -> String {
    format!("absent input {role}")
}

/// The complete list of ingredients of a step; its key is [`Ingredients::key`].
pub fn ingredients(step: &Step, inputs: &Inputs, environment: &Environment) -> Ingredients {
    let mut list = Ingredients::default();
    list.text("step", step.kind().name());
    list.natural("recipe", step.kind().recipe());
    step.ingredients(&mut list);
    for (role, input) in inputs {
        match input {
            Ok(digest) => list.digest(&format!("input {role}"), *digest),
            Err(absence) => list.text(&absent_input(role), absence.to_json()),
        }
    }
    if step.kind().uses_tensors() {
        let Environment { device, architecture, libtorch } = environment;
        list.text("device", device);
        list.text("architecture", architecture);
        list.text("libtorch", libtorch);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{DatasetOptions, reader};
    use crate::encoders::ImageEncoderOptions;
    use crate::methods::{BalGrad, KlScale, MethodOptions};
    use crate::pictures::Decoding;
    use crate::steps::encode::{Encode, Encoder};
    use crate::steps::prepare::Prepare;
    use crate::steps::train::Train;

    fn here() -> Environment {
        Environment { device: "cpu".into(), architecture: "x86_64".into(), libtorch: "2.13.0".into() }
    }

    fn inputs(roles: &[&str]) -> Inputs {
        roles.iter().map(|role| ((*role).to_owned(), Ok(Digest::of(role.as_bytes())))).collect()
    }

    fn train(seed: u64) -> Train {
        let settings = r#"{"epochs": 20, "fusion": "concat", "optimizer": {"name": "adam", "learning-rate": 0.001}}"#;
        Train {
            dataset: "emoji-words".into(),
            name: "balgrad".into(),
            candidate: None,
            method: MethodOptions::BalGrad(BalGrad::default()),
            config: serde_json::from_str(settings).unwrap(),
            seed,
        }
    }

    /// The keys of three steps. If one of them changes, every user's store computes that step, and all that follow from
    /// it, again. Where the computation changed, that is right: raise the recipe version that belongs to it, and pin the
    /// new key here. Where it did not (a field was renamed or reordered, a label got in), undo the change.
    #[test]
    fn keys_of_steps_never_change() {
        let keys = [
            ingredients(
                &Step::from(Prepare {
                    name: "emoji-words".into(),
                    reader: reader("emoji-words").unwrap(),
                    options: DatasetOptions::None,
                    subset: None,
                    counts: BTreeMap::new(),
                    open: None,
                }),
                &inputs(&["archive emoji.whl"]),
                &here(),
            ),
            ingredients(
                &Step::from(Encode {
                    called: "all-minilm-l6-v2".into(),
                    dataset: "emoji-words".into(),
                    part: "test".into(),
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
                "ee0b4f3154b5f6fb05df0cff45a6680724c169c04c2055abaee5c2f4365ad069",
                "1abfa5e9c268ed7eedb2e1ee09599b058d4cf80f8b8a23cd4c91500e72516431",
                "4d92f4b902a7ebbc5c3db4dc6631257ceb0ae9f856324197038cffcd05f953e0",
            ]
        );
    }

    /// What is in the table above changes the key; names, labels and the like do not.
    #[test]
    fn what_counts_is_in_the_key_and_nothing_else() {
        let key = |step: &Train, roles: &[&str], environment: &Environment| {
            ingredients(&step.clone().into(), &inputs(roles), environment).key()
        };
        let roles = ["about", "train image"];
        let plain = key(&train(1), &roles, &here());
        assert_ne!(plain, key(&train(2), &roles, &here()), "seed");
        let mut step = train(1);
        step.config.epochs = 21;
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
        assert_eq!(plain, key(&step, &roles, &here()), "names are no part of it");
    }
}
