//! Seesaw reproduces the paper "See-Saw Modality Balance" (Kwon et al., NAACL 2025) end to end.
//!
//! The rooms, in the order in which data flows through them:
//!
//! | room | what it is for | which rooms it may know |
//! |---|---|---|
//! | [`cli`] | one file per subcommand, thin | [`engine`], [`experiments`], [`store`] |
//! | [`experiments`] | reads `experiments/*.toml` into a checked suite and expands it into cells | the option types of the rooms below |
//! | [`engine`] | keys, the graph of steps, the local executor, explanations | [`steps`], [`store`] |
//! | [`store`] | content-addressed objects, actions (key → outputs), locks | nothing above it |
//! | [`steps`] | fetch, prepare, impair, encode, train, evaluate, render: parameters, inputs, execution | every room below |
//! | [`manifests`] | `data-manifests/*.json`: sources and downloads | |
//! | [`archives`] | zips and tars, hostile until proven otherwise: members read in place, packs written | |
//! | [`datasets`] | archive → samples; knows files and nothing of tensors | [`archives`] |
//! | [`impairments`] | missing and noisy modalities | [`datasets`] |
//! | [`encoders`] | frozen networks: samples → features | [`archives`], [`datasets`], [`impairments`] |
//! | [`methods`] | one file per training method; knows tensors and nothing of files | [`training`]'s model |
//! | [`training`] | embedding layers, fusion, heads, optimisers, the loop | [`methods`] |
//! | [`evaluation`] | metrics, robustness, statistics over seeds | |
//! | [`report`] | tables, figures, results | [`evaluation`] |
//! | [`provenance`] | where results came from; bundles that carry a run to another machine, and their check | [`engine`], [`steps`], [`store`], [`archives`] |
//! | [`calibration`] | what this machine can do, for estimates alone | [`engine`], [`training`], [`datasets`] |
//!
//! Known by all, knowing none: [`errors`], [`files`], [`interrupt`], [`progress`], [`random`], [`tensors`].

pub mod archives;
pub mod bundle;
pub mod cli;
pub mod datasets;
pub mod digest;
pub mod encoders;
pub mod engine;
pub mod errors;
pub mod evaluation;
pub mod experiments;
pub mod files;
pub mod impairments;
pub mod interrupt;
pub mod manifests;
pub mod methods;
pub mod model;
pub mod pictures;
pub mod planning;
pub mod progress;
pub mod publication;
pub mod random;
pub mod report;
pub mod steps;
pub mod store;
pub mod tensors;
pub mod terms;
#[doc(hidden)]
pub mod testing;
pub mod training;
