//! Outputs that were found damaged by someone who cannot make them again: a report, say. They are set aside, and whatever
//! runs next makes them anew.

use std::collections::BTreeSet;

use anyhow::Context;

use super::{Action, Damage, Store};
use crate::digest::Digest;
use crate::errors::{Class, Problem};

/// A recorded output that is not what was kept.
#[derive(Debug, thiserror::Error)]
#[error("the output `{name}` of `{label}` is damaged")]
pub struct DamagedOutput {
    pub label: String,
    pub name: String,
    pub object: Digest,
    source: Problem,
}

impl DamagedOutput {
    /// The first one in an error's chain.
    pub fn of(error: &anyhow::Error) -> Option<&DamagedOutput> {
        error.chain().find_map(|cause| cause.downcast_ref())
    }
}

impl Store {
    /// Reads a small output of a step whole, and verifies it.
    ///
    /// # Errors
    /// If the step has no such output; a [`DamagedOutput`] if it is not what was kept.
    pub fn read_output(&self, action: &Action, name: &str) -> anyhow::Result<Vec<u8>> {
        let output = action.outputs.get(name).with_context(|| format!("`{}` gave no `{name}`", action.label))?;
        self.read(output).map_err(|damage| {
            // Where it cannot be set aside, it is told all the same.
            if let Err(error) = self.want(output.sha256, &damage) {
                tracing::warn!("{error:#}");
            }
            let hint = "`seesaw run` of a suite that needs it makes it again".to_owned();
            let source = Problem { class: Class::Failed, message: damage.to_string(), hint: Some(hint) };
            DamagedOutput { label: action.label.clone(), name: name.to_owned(), object: output.sha256, source }.into()
        })
    }

    /// Sets a damaged object aside; that one is missing is noted in its place.
    ///
    /// # Errors
    /// If neither can be done.
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

    /// The objects that were set aside and are not there again.
    pub fn wanted(&self) -> BTreeSet<Digest> {
        let files = std::fs::read_dir(self.quarantine()).into_iter().flatten().flatten();
        let names = files.filter_map(|file| file.file_name().into_string().ok());
        let object = |name: String| name.strip_prefix("object-")?.split('.').next()?.parse().ok();
        names.filter_map(object).filter(|digest| !self.object_path(*digest).exists()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Ingredients;
    use super::*;
    use crate::errors;

    /// What is damaged or gone is told, set aside, and wanted until it is there again.
    #[test]
    fn damaged_outputs_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let put = |content: &str| {
            let workspace = store.workspace().unwrap();
            let file = workspace.path().join("file");
            std::fs::write(&file, content).unwrap();
            store.put_file(&file).unwrap()
        };
        let output = put("whole");
        let outputs = BTreeMap::from([("text".to_owned(), output)]);
        let ingredients = Ingredients::default();
        let action = Action { label: "given".into(), ingredients, outputs, seconds: 0.0, finished: 0 };
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
            assert!(errors::hint_of(&error).unwrap().contains("makes it again"));
            assert_eq!(store.wanted(), BTreeSet::from([output.sha256]));
            put("whole");
            assert!(store.wanted().is_empty());
        }
    }
}
