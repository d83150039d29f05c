//! Provenance: how the files under `out/` came to be, and bundles that carry a run to another machine.
//!
//! [`record`] is `provenance.json`: the program, the machine, the suite's files, every step with its key, inputs and
//! outputs, and every published file with the step that made it. [`ro_crate`] tells the same to other tools as an
//! RO-Crate. [`source_digest`] names the program's own source. [`bundle`] packs a run into one archive, and checks such an
//! archive. Nothing here needs tensors, except training a bundle's cells again.

pub mod bundle;
pub mod record;
pub mod ro_crate;
pub mod source_digest;
mod time;

pub use record::Provenance;
