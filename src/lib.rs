//! Seesaw reproduces the paper "See-Saw Modality Balance" (Kwon et al., NAACL 2025) end to end.
//!
//! ```text
//! data-manifests/*.json ─ fetch ─► archive ─ prepare ─► samples ─ encode ─► features ─ train ─► weights, trace
//! experiments/*.toml ─ plan                        ┌───────────────────────── evaluate ◄──────────┘
//!                                                  └► scores ─ collect ─► results ─ render ─► tables, figures ─ publish ─► out/
//! ```
//!
//! Each arrow is a step: a pure function of its parameters and of the content of its inputs, kept in the store under a key
//! that is the SHA-256 of exactly that. `docs/architecture.md` follows one number through the files below.
//!
//! The rooms, from the command line down. A room uses only the rooms that its row names, which stand below it, and the
//! ground floor. `tests/testsuite/house.rs` compares this table with every path in the source.
//!
//! | room | what lives there | uses |
//! |---|---|---|
//! | [`cli`] | one file per subcommand: arguments → one call → what is printed | [`bundle`], [`publication`], [`planning`], [`engine`], [`steps`], [`methods`] |
//! | [`bundle`] | export and verify: a run in one file, for other machines | [`publication`], [`planning`], [`engine`], [`steps`], [`experiments`], [`report`], [`evaluation`], [`datasets`], [`manifests`], [`archives`], [`store`] |
//! | [`publication`] | what a run leaves in `out/SUITE/`: tables and figures, claims, report, provenance; what commands show of a suite, or submit | [`planning`], [`engine`], [`steps`], [`experiments`], [`report`], [`evaluation`], [`methods`], [`datasets`], [`pictures`], [`manifests`], [`store`] |
//! | [`planning`] | suite → graph of steps; what is unavailable; estimates and the calibration behind them | [`engine`], [`steps`], [`experiments`], [`report`], [`training`], [`methods`], [`model`], [`encoders`], [`impairments`], [`datasets`], [`pictures`], [`manifests`], [`store`] |
//! | [`engine`] | keys, the graph, running steps here or on Slurm, explanations; knows steps as data alone | [`steps`], [`store`] |
//! | [`steps`] | one `enum Step`, a file per kind: parameters, inputs, recipe version, computation | [`report`], [`evaluation`], [`training`], [`methods`], [`model`], [`encoders`], [`impairments`], [`datasets`], [`pictures`], [`manifests`], [`store`] |
//! | [`experiments`] | `experiments/*.toml` → a checked suite | [`report`], [`training`], [`methods`], [`encoders`], [`impairments`], [`datasets`] |
//! | [`report`] | results, comparisons, claims, tables, figures, page, LaTeX | [`evaluation`], [`pictures`] |
//! | [`training`] | the loop, optimisers, diagnostics | [`methods`], [`model`] |
//! | [`methods`] | one file per method; a step reads like the paper's equations | [`model`] |
//! | [`model`] | embedding layers, fusion, heads, tasks and their losses, gradients as vectors, initial weights | |
//! | [`evaluation`] | metrics and statistics | |
//! | [`encoders`] | frozen networks, one file per architecture, and the preprocessing that belongs to each | [`pictures`], [`archives`] |
//! | [`impairments`] | missing and noisy modalities | |
//! | [`datasets`] | archive → samples, one reader per dataset | [`pictures`], [`archives`] |
//! | [`pictures`] | pictures by reference, decoding as people's tools do, resizing | |
//! | [`manifests`] | `data-manifests/*.json`, downloads, lock files | [`archives`] |
//! | [`archives`] | zips and tars, hostile until proven otherwise | |
//! | [`store`] | objects by SHA-256, actions by key, locks, remote stores | |
//!
//! The ground floor, known by all and knowing none above: [`terms`], [`digest`], [`errors`], [`files`], [`interrupt`],
//! [`locks`], [`map`], [`network`], [`progress`], [`random`], [`settings`] and [`tensors`]. Only tests use `testing`, which may know every room.

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
pub mod locks;
pub mod manifests;
pub mod map;
pub mod methods;
pub mod model;
pub mod network;
pub mod pictures;
pub mod planning;
pub mod progress;
pub mod publication;
pub mod random;
pub mod report;
pub mod settings;
pub mod steps;
pub mod store;
pub mod tensors;
pub mod terms;
#[doc(hidden)]
pub mod testing;
pub mod training;
