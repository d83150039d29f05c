//! The list of all methods: name, title, citation and options.

use serde::{Deserialize, Serialize};

use super::{Agm, BalGrad, Baseline, Method, Mslr, OgmGe, Options};

/// The description of a method's option, for people. Its default value comes from the options' `Default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OptionDescription {
    pub name: &'static str,
    /// The permitted values.
    pub values: &'static str,
    pub meaning: &'static str,
}

/// A name for experiment files: a method, or a method with some options fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    pub name: &'static str,
    /// The name in tables.
    pub title: &'static str,
    pub citation: &'static str,
    /// The method behind the name, and the options that are fixed, in TOML.
    pub method: &'static str,
    pub fixed: &'static [(&'static str, &'static str)],
    pub options: &'static [OptionDescription],
}

macro_rules! methods {
    ($($variant:ident($options:ty) = $tag:literal, recipe $recipe:literal;)*) => {
        /// A method and its options, as in an experiment file.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "method")]
        pub enum MethodOptions {
            $(#[serde(rename = $tag)] $variant($options),)*
        }

        impl MethodOptions {
            /// The method's name.
            pub fn name(&self) -> &'static str {
                match self { $(MethodOptions::$variant(_) => $tag,)* }
            }

            /// The version of the method's computation, part of the key of every training with it. Raise it when the
            /// same options and batches give another gradient than before.
            pub fn recipe(&self) -> u64 {
                match self { $(MethodOptions::$variant(_) => $recipe,)* }
            }

            /// See [`Options::needs_heads`].
            pub fn needs_heads(&self) -> bool {
                match self { $(MethodOptions::$variant(options) => options.needs_heads(),)* }
            }

            /// See [`Options::check`].
            ///
            /// # Errors
            /// If an option is out of range; the message names it.
            pub fn check(&self) -> Result<(), String> {
                match self { $(MethodOptions::$variant(options) => options.check(),)* }
            }

            /// The options alone. A caller of this links the methods' computations, and so needs libtorch.
            pub fn options(&self) -> &dyn Options {
                match self { $(MethodOptions::$variant(options) => options,)* }
            }

            /// See [`Options::build`].
            pub fn build(&self, seed: u64) -> Box<dyn Method> {
                self.options().build(seed)
            }

            /// The default options of the method with this name.
            pub fn default_of(name: &str) -> Option<MethodOptions> {
                match name { $($tag => Some(MethodOptions::$variant(<$options>::default())),)* _ => None }
            }
        }
    };
}

impl MethodOptions {
    /// Whether this is the method that the paper proposes, and not one that it compares with or a part of its own.
    pub fn is_proposed(&self) -> bool {
        matches!(self, MethodOptions::BalGrad(options) if options.is_whole())
    }
}

// Each method: variant, type of its options, name, version of its computation.
methods! {
    Baseline(Baseline) = "baseline", recipe 1;
    Mslr(Mslr) = "mslr", recipe 1;
    OgmGe(OgmGe) = "ogm-ge", recipe 2;
    Agm(Agm) = "agm", recipe 2;
    BalGrad(BalGrad) = "balgrad", recipe 1;
}

/// Every name, in the order of the paper's tables.
pub const NAMES: &[Named] = &[
    method("baseline", "Baseline", "joint training with the fused loss alone", &[PROBE]),
    method(
        "mslr",
        "MSLR",
        "Yao & Mihalcea, Modality-specific Learning Rates for Effective Multimodal Additive Late-fusion, Findings of ACL \
         2022",
        &[
            option("strategy", "dynamic, keep, smooth", "how the factor on a modality's learning rate is chosen"),
            option("factor-v", "> 0", "φ_v, the factor on the image's learning rate"),
            option("factor-l", "> 0", "φ_l, the factor on the text's learning rate"),
            option("smoothing", "0 to 1", "s of `smooth`: 0 keeps the factors, 1 makes them equal"),
            option("history", "≥ 1", "H of `dynamic`: the number of validation scores in the mean"),
            option("accumulation", "replace, multiply", "how a new ratio changes the current one"),
            option("application", "learning-rate, gradient", "what the factors multiply"),
            PROBE,
        ],
    ),
    method(
        "ogm-ge",
        "OGM-GE",
        "Peng et al., Balanced Multimodal Learning via On-the-fly Gradient Modulation, CVPR 2022",
        &[
            option("alpha", "≥ 0", "α, how strongly the modality that is ahead is slowed"),
            option("argument", "ratio, ratio-minus-one", "what α multiplies inside tanh"),
            option("parameters", "all, weights", "which parameters of h_m are modulated"),
            option("noise", "gaussian, off", "GE, the noise on the gradients of both modalities"),
            option("multilabel-score", "positives, likelihood", "the labels in a multilabel score"),
            START,
            END,
            PROBE,
        ],
    ),
    method(
        "agm",
        "AGM",
        "Li et al., Boosting Multi-modal Model Performance with Adaptive Gradient Modulation, ICCV 2023",
        &[
            option("alpha", "≥ 0", "α, how strongly responses are modulated"),
            option("zero-at", "features, embedding", "where a modality is blanked for the other's response"),
            option("scope", "response, embedding", "whether responses or gradients of h_m are scaled"),
            option("clamp", "≥ 0", "the upper limit of τ − r"),
            option("floor", "> 0, ≤ 1", "the lower limit of a probability in a score"),
            option("clip", "≥ 0", "limit of f_T.weight's gradient, and the norm to clip to; 0: no clipping"),
            START,
            END,
            PROBE,
        ],
    ),
    BALGRAD,
    Named { name: "balgrad-reweighting", title: "Reweighting only", fixed: &[("project", "false")], ..BALGRAD },
    Named { name: "balgrad-projection", title: "Projection only", fixed: &[("weights", "\"uniform\"")], ..BALGRAD },
];

const BALGRAD: Named = method(
    "balgrad",
    "BalGrad",
    "Kwon et al., See-Saw Modality Balance, NAACL 2025",
    &[
        option(
            "weights",
            "loss-ratio, uniform, inverse-loss",
            "the rule for the weights w_v and w_l of the KL gradients",
        ),
        option("project", "true, false", "whether the task gradient is projected"),
        option(
            "projection-scope",
            "joint, per-modality, per-tensor, with-heads",
            "the parameters that are projected together",
        ),
        option("kl-scale", "≥ 0, \"1/C\"", "λ, the factor on both weights; 1/C: one over the number of labels"),
        option("kl-heads", "true, false", "whether the KL gradients train the unimodal heads too"),
    ],
);

const PROBE: OptionDescription = option("probe", "true, false", "train unimodal heads beside the method");
const START: OptionDescription = option("modulation-start", "epoch", "the first modulated epoch, counted from 1");
const END: OptionDescription = option("modulation-end", "epoch", "the last modulated epoch; not set: to the end");

/// A method under its own name.
const fn method(
    name: &'static str,
    title: &'static str,
    citation: &'static str,
    options: &'static [OptionDescription],
) -> Named {
    Named { name, title, citation, method: name, fixed: &[], options }
}

const fn option(name: &'static str, values: &'static str, meaning: &'static str) -> OptionDescription {
    OptionDescription { name, values, meaning }
}

/// The entry with this name.
pub fn named(name: &str) -> Option<&'static Named> {
    NAMES.iter().find(|named| named.name == name)
}

impl Named {
    /// The default of an option, in TOML; empty if the option is not set by default.
    pub fn default_value(&self, option: &str) -> String {
        if let Some((_, value)) = self.fixed.iter().find(|(fixed, _)| *fixed == option) {
            return (*value).to_owned();
        }
        let defaults = MethodOptions::default_of(self.method).map(serde_json::to_value);
        match defaults.and_then(Result::ok).as_ref().and_then(|defaults| defaults.get(option)) {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(value) => value.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The descriptions and the types have the same options.
    #[test]
    fn every_option_is_described() {
        for named in NAMES {
            let defaults = serde_json::to_value(MethodOptions::default_of(named.method).unwrap()).unwrap();
            let mut fields: BTreeSet<&str> = defaults.as_object().unwrap().keys().map(String::as_str).collect();
            assert!(fields.remove("method"));
            let described: BTreeSet<&str> = named.options.iter().map(|option| option.name).collect();
            assert_eq!(fields, described, "{}", named.name);
            assert_eq!(described.len(), named.options.len(), "{}", named.name);
            assert!(named.fixed.iter().all(|(name, _)| described.contains(name)), "{}", named.name);
        }
        let names: BTreeSet<&str> = NAMES.iter().map(|named| named.name).collect();
        assert_eq!(names.len(), NAMES.len());
    }

    /// Of all names, the paper proposes one; the others are compared with it, or are parts of it.
    #[test]
    fn one_method_is_the_papers_own() {
        let proposed = |named: &&Named| {
            let mut options = toml::Table::new();
            for (option, value) in named.fixed {
                options.extend(toml::from_str::<toml::Table>(&format!("{option} = {value}")).unwrap());
            }
            options.insert("method".into(), named.method.into());
            toml::Value::Table(options).try_into::<MethodOptions>().unwrap().is_proposed()
        };
        let names: Vec<&str> = NAMES.iter().filter(proposed).map(|named| named.name).collect();
        assert_eq!(names, ["balgrad"]);
    }

    #[test]
    fn defaults_are_written_as_in_files() {
        let default = |name: &str, option: &str| named(name).unwrap().default_value(option);
        assert_eq!(default("ogm-ge", "alpha"), "0.1");
        assert_eq!(default("ogm-ge", "modulation-end"), "");
        assert_eq!(default("balgrad", "weights"), "\"loss-ratio\"");
        assert_eq!(default("balgrad-projection", "weights"), "\"uniform\"");
        assert_eq!(default("balgrad-reweighting", "project"), "false");
    }
}
