//! Data manifests: where archives come from, and how they are brought and checked.

pub mod archive;
