//! Files in `out/` are copies of objects in the store. A copy that someone changed or removed is written again.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::digest::Digest;
use crate::engine::graph::Publication;
use crate::store::{Brief, Store};

/// A file in a folder of `out/`, and the output that it is a copy of.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    /// Its name in the folder.
    pub file: &'a str,
    /// The record of the step that gave the output.
    pub action: &'a Brief,
    /// The output's name.
    pub output: &'a str,
}

impl<'a> Copy<'a> {
    /// The copy that a plan asks for; `None` if the step is not done or gave no such output.
    pub fn of(publication: &'a Publication, action: Option<&'a Brief>) -> Option<Self> {
        let (action, output) = (action?, &*publication.source.output);
        action.outputs.contains_key(output).then_some(Copy { file: &publication.file, action, output })
    }
}

/// The one rule for what is out of date: files whose content is not that of their object.
pub fn stale<'a>(folder: &Path, copies: impl IntoIterator<Item = Copy<'a>>) -> Vec<Copy<'a>> {
    let is_stale = |copy: &Copy| match Digest::of_file(&folder.join(copy.file)) {
        Ok((found, _)) => copy.action.outputs.get(copy.output).is_none_or(|output| found != output.sha256),
        Err(_) => true,
    };
    // Those of a large suite are hundreds of megabytes.
    copies.into_iter().collect::<Vec<_>>().into_par_iter().filter(is_stale).collect()
}

/// Writes the files that are out of date, and appends their paths to `written`.
///
/// # Errors
/// If a file cannot be written; a [`crate::store::DamagedOutput`] if an object is damaged.
pub fn update<'a>(
    store: &Store,
    folder: &Path,
    copies: impl IntoIterator<Item = Copy<'a>>,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    for Copy { file, action, output } in stale(folder, copies) {
        let (bytes, path) = (store.read_output(action, output)?, folder.join(file));
        store.write_file(&path, &bytes)?;
        written.push(path);
    }
    Ok(())
}
