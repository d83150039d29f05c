//! Bundles: a finished run in one archive, which another machine can check and partly repeat.
//!
//! A gzipped tar of regular files, in the order of their names behind the manifest, without times, owners and other traces
//! of a machine, so that the same run gives the same bytes:
//!
//! ```text
//! bundle.json                     the manifest: what this is, SHA-256 and size of every member, what was left out and why
//! out/…                           the suite's folder under out/: results, tables, figures, report, provenance
//! project/experiments/SUITE.toml  the suite, the manifests and templates that it was planned from; the claims and the
//!                                 paper's numbers that it was judged by
//! project/data-manifests/…
//! project/templates/…
//! store/actions/3f/3f9a….json     the record of every step: ingredients of its key, outputs by digest
//! store/objects/3f/3f9a…          outputs of steps, by digest
//! ```
//!
//! | objects | in a bundle |
//! |---|---|
//! | scores, predictions, traces, summaries, choices, masks, collected results | always |
//! | `weights` of trainings | if asked for; without them only their hash can be compared |
//! | `features` of encoders | if asked for; they are large, and can be made again |
//! | `labels`: samples and classes of test splits | if asked for; they let scores be computed again from predictions, and are part of datasets that may not be passed on |
//! | archives, pictures, texts | never: they belong to others, and are listed by their hash |
//! | rendered tables and figures | as files under `out/` |
//!
//! [`export`] packs, [`unpack`] takes apart without trusting anything, [`check`] compares everything with everything, and
//! [`rerun`] trains some cells again.

pub mod check;
pub mod contents;
pub mod export;
mod plan;
pub mod rerun;
mod scores;
pub mod unpack;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::store::Output;

/// The version of the layout of bundles.
pub const SCHEMA: u32 = 1;

/// The manifest's name; it is the first member.
pub const MANIFEST: &str = "bundle.json";

/// The longest manifest that is read, in bytes: some 200 bytes for each of a million members.
const MOST_MANIFEST: u64 = 200 << 20;

/// What a bundle is and holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub schema: u32,
    /// The version of the program that packed it.
    pub program: String,
    pub suite: String,
    /// What was asked for beside what is always there.
    pub with: Vec<contents::Extra>,
    /// Every other member.
    pub members: BTreeMap<String, Output>,
    pub left_out: Vec<LeftOut>,
}

/// An output of a step that is not in the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    pub step: String,
    pub output: String,
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
    pub why: contents::Why,
}

/// Where an object lies in a bundle.
fn object_member(digest: Digest) -> String {
    let name = digest.to_string();
    format!("store/objects/{}/{name}", &name[..2])
}

/// Where the record of a step lies in a bundle.
fn action_member(key: Digest) -> String {
    let name = key.to_string();
    format!("store/actions/{}/{name}.json", &name[..2])
}
