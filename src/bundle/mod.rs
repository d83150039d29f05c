//! Bundles: a finished run in one archive, which another machine can check and partly repeat.
//!
//! A bundle is a gzipped tar of regular files: the manifest, then the members sorted by name, without times, owners and
//! other traces of a machine, so that the same run gives the same bytes:
//!
//! ```text
//! bundle.json                     the manifest: SHA-256 and size of every member, what was left out and why
//! out/…                           the suite's folder in out/: results, tables, figures, report, provenance
//! project/experiments/SUITE.toml  the suite, the manifests and templates that it was planned from, the claims and the
//!                                 paper's numbers
//! project/data-manifests/…
//! project/templates/…
//! store/actions/3f/3f9a….json     the record of every step: ingredients of its key, outputs by digest
//! store/objects/3f/3f9a…          outputs of steps, by digest
//! ```
//!
//! | objects | in a bundle |
//! |---|---|
//! | scores, predictions, traces, summaries, choices, masks, collected results | always |
//! | `weights` of trainings | optional; without them only their hash can be compared |
//! | `features` of encoders | optional; they are large, and can be computed again |
//! | `labels`: samples and classes of test splits | optional; they allow to compute scores again from predictions, but belong to datasets that you may not be allowed to share |
//! | archives, pictures, texts | never: they belong to others, and are listed by hash |
//! | rendered tables and figures | as files in `out/` |
//!
//! [`export`] packs a run; [`verify`] unpacks it without trusting anything ([`unpack`]), compares everything with everything
//! ([`check`]) and trains some cells again ([`rerun`]).

pub mod check;
pub mod contents;
pub mod diff;
pub mod export;
mod plan;
pub mod recheck;
pub mod rerun;
mod scores;
pub mod unpack;
pub mod verify;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::store::Output;

/// The version of the layout of bundles.
pub const SCHEMA: u32 = 1;

/// The manifest's name; it is the first member.
pub const MANIFEST: &str = "bundle.json";

/// The longest manifest that is read, in bytes: about 200 bytes for each of a million members.
const MOST_MANIFEST: u64 = 200 << 20;

/// The content of a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub schema: u32,
    /// The version of the program that packed it.
    pub program: String,
    pub suite: String,
    /// What the run lacks; none if it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// The optional contents that were included.
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

/// The member that holds an object.
fn object_member(digest: Digest) -> String {
    let name = digest.to_string();
    format!("store/objects/{}/{name}", &name[..2])
}

/// The member that holds the record of a step.
fn action_member(key: Digest) -> String {
    let name = key.to_string();
    format!("store/actions/{}/{name}.json", &name[..2])
}
