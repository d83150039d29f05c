//! Outputs that a reader found damaged and cannot compute again, such as a report. They are set aside, and the next run
//! computes them again.

use std::collections::BTreeSet;

use anyhow::Context;

use super::{Action, Damage, Store};
use crate::digest::Digest;
use crate::errors::{Class, Problem};

/// A recorded output that is missing or damaged.
#[derive(Debug, thiserror::Error)]
#[error("the output `{name}` of `{label}` is damaged")]
pub struct DamagedOutput {
    pub label: String,
    pub name: String,
    pub object: Digest,
    source: Problem,
}

impl DamagedOutput {
    /// The first one in the chain of an error.
    pub fn of(error: &anyhow::Error) -> Option<&DamagedOutput> {
        error.chain().find_map(|cause| cause.downcast_ref())
    }
}

impl Store {
    /// Reads and verifies a small output of a step.
    ///
    /// # Errors
    /// If the step has no such output; a [`DamagedOutput`] if it is missing or damaged.
    pub fn read_output<I>(&self, action: &Action<I>, name: &str) -> anyhow::Result<Vec<u8>> {
        let output = action.outputs.get(name).with_context(|| format!("`{}` has no output `{name}`", action.label))?;
        self.read(output).map_err(|damage| {
            if let Err(error) = self.want(output.sha256, &damage) {
                tracing::warn!("{error:#}");
            }
            let hint = "run `seesaw run` with a suite that needs it to compute it again".to_owned();
            let source = Problem::new(Class::Failed, damage.to_string(), Some(hint));
            DamagedOutput { label: action.label.clone(), name: name.to_owned(), object: output.sha256, source }.into()
        })
    }

    /// Sets a damaged object aside, or leaves a note in the quarantine if it is missing.
    ///
    /// # Errors
    /// If neither is possible.
    pub fn want(&self, object: Digest, damage: &Damage) -> anyhow::Result<()> {
        let aside = match damage {
            Damage::Missing => None,
            _ => self.set_aside(object)?,
        };
        if aside.is_none() {
            let note = self.quarantine().join(format!("object-{object}.missing"));
            std::fs::write(&note, "").with_context(|| format!("cannot write {}", note.display()))?;
        }
        Ok(())
    }

    /// The objects that were set aside or missing, and have not been computed again.
    pub fn wanted(&self) -> BTreeSet<Digest> {
        let files = std::fs::read_dir(self.quarantine()).into_iter().flatten().flatten();
        let names = files.filter_map(|file| file.file_name().into_string().ok());
        let object = |name: String| name.strip_prefix("object-")?.split('.').next()?.parse().ok();
        names.filter_map(object).filter(|digest| !self.object_path(*digest).exists()).collect()
    }
}

#[cfg(test)]
mod tests {

    use super::super::Ingredients;
    use super::*;
    use crate::errors;

    /// A damaged or missing output is an error, is set aside, and is wanted until it is there again.
    #[test]
    fn damaged_outputs_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let output = store.put_bytes(b"whole").unwrap();
        let outputs = [("text".to_owned(), output)].into_iter().collect();
        let ingredients = Ingredients::default();
        let action =
            Action { label: "given".into(), ingredients, outputs, seconds: 0.0, finished: 0, computed_by: None };
        assert_eq!(store.read_output(&action, "text").unwrap(), b"whole");
        assert!(store.wanted().is_empty() && store.read_output(&action, "none").is_err());
        for damage in [Some("WHOLE"), None] {
            let path = store.object_path(output.sha256);
            std::fs::remove_file(&path).unwrap();
            damage.iter().for_each(|content| std::fs::write(&path, content).unwrap());
            let error = store.read_output(&action, "text").unwrap_err();
            assert_eq!(DamagedOutput::of(&error).map(|damaged| damaged.object), Some(output.sha256));
            assert!(
                format!("{error:#}").starts_with("the output `text` of `given` is damaged: its content has")
                    || format!("{error:#}").ends_with("it is missing"),
                "{error:#}"
            );
            assert!(errors::hint_of(&error).unwrap().contains("compute it again"));
            assert_eq!(store.wanted(), BTreeSet::from([output.sha256]));
            store.put_bytes(b"whole").unwrap();
            assert!(store.wanted().is_empty());
        }
    }
}
