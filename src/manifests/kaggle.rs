//! Datasets from Kaggle, with the user's own key. The key goes to Kaggle and nowhere else: it is never written, logged or
//! shown.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use super::Archive;
use super::fetch::FetchContext;
use super::https::{self, Access};
use crate::errors;

/// Where Kaggle is, and who asks.
#[derive(Clone)]
pub struct Kaggle {
    pub address: String,
    /// Where the user's settings for Kaggle lie.
    pub settings: Option<PathBuf>,
    /// What the environment says, by the names that Kaggle's own client uses.
    pub environment: fn(&str) -> Option<String>,
}

/// `kaggle.json`, as Kaggle hands it out.
#[derive(Deserialize)]
struct Key {
    username: String,
    key: String,
}

impl Kaggle {
    /// The key that Kaggle's own client would use.
    pub fn of_this_user() -> Self {
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let home = || Some(PathBuf::from(environment("HOME")?).join(".kaggle"));
        let settings = environment("KAGGLE_CONFIG_DIR").map(PathBuf::from).or_else(home);
        Kaggle { address: "https://www.kaggle.com".to_owned(), settings, environment }
    }

    /// Whether there is a key, good or not.
    pub(super) fn has_key(&self) -> bool {
        !matches!(self.access(), Ok(Access::Open))
    }

    /// The token or the name and key, from the environment, or else from the usual files.
    fn access(&self) -> anyhow::Result<Access> {
        let said = |name: &str| (self.environment)(name);
        if let Some(token) = said("KAGGLE_API_TOKEN") {
            return Ok(Access::Bearer(token.trim().to_owned()));
        }
        if let (Some(name), Some(key)) = (said("KAGGLE_USERNAME"), said("KAGGLE_KEY")) {
            return Ok(Access::Basic(name, key));
        }
        let Some(folder) = &self.settings else { return Ok(Access::Open) };
        if let Some(token) = read(&folder.join("access_token"))? {
            return Ok(Access::Bearer(token.trim().to_owned()));
        }
        let file = folder.join("kaggle.json");
        let Some(text) = read(&file)? else { return Ok(Access::Open) };
        // What is in the file is not repeated, not even where it is malformed.
        let key: Key = serde_json::from_str(&text).map_err(|_| {
            errors::failed(
                format!("{} should hold an object with `username` and `key`", file.display()),
                "make a new key in your settings on Kaggle, and put the file that it gives there",
            )
        })?;
        Ok(Access::Basic(key.username, key.key))
    }
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Downloads a version of a dataset as one zip; without a key if there is none, which Kaggle may refuse.
pub(super) fn fetch(
    archive: &Archive,
    dataset: &str,
    version: u32,
    to: &Path,
    context: &FetchContext,
) -> anyhow::Result<()> {
    let access = context.kaggle.access()?;
    let open = matches!(access, Access::Open);
    let url = format!("{}/api/v1/datasets/download/{dataset}?datasetVersionNumber={version}", context.kaggle.address);
    https::fetch(archive, &[url], &access, to, context).map_err(|error| {
        let class = errors::class_of(&error);
        // A network that is away, or another version of the file, are no matter of keys.
        if class != errors::Class::Unavailable && errors::hint_of(&error) != Some(https::REFUSED) {
            return error;
        }
        let hint = match open {
            true => format!(
                "no key for Kaggle was found: make one in your settings there (API, Create New Token), set \
                 KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, or put kaggle.json into ~/.kaggle/; Kaggle may also \
                 ask you to accept the terms of {dataset} in a browser"
            ),
            false => format!(
                "see that your key for Kaggle is still valid, and that you accepted the terms of \
                 https://www.kaggle.com/datasets/{dataset} in a browser"
            ),
        };
        errors::of_class(class, format!("{error:#}"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(settings: &Path, environment: fn(&str) -> Option<String>) -> Kaggle {
        Kaggle { address: String::new(), settings: Some(settings.to_owned()), environment }
    }

    #[test]
    fn the_key_is_found_where_kaggles_own_client_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let nothing: fn(&str) -> Option<String> = |_| None;
        assert!(matches!(user(folder.path(), nothing).access().unwrap(), Access::Open));
        std::fs::write(folder.path().join("kaggle.json"), r#"{"username": "me", "key": "secret"}"#).unwrap();
        let access = user(folder.path(), nothing).access().unwrap();
        assert!(matches!(access, Access::Basic(name, key) if name == "me" && key == "secret"));
        let access = user(folder.path(), |name| name.starts_with("KAGGLE_").then(|| name.to_owned())).access().unwrap();
        assert!(matches!(access, Access::Bearer(token) if token == "KAGGLE_API_TOKEN"));
        let access =
            user(folder.path(), |name| (name != "KAGGLE_API_TOKEN").then(|| name.to_owned())).access().unwrap();
        assert!(matches!(access, Access::Basic(name, key) if name == "KAGGLE_USERNAME" && key == "KAGGLE_KEY"));
    }

    #[test]
    fn a_malformed_file_is_named_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kaggle.json"), r#"{"username": "me", "kee": "secret"}"#).unwrap();
        let error = user(folder.path(), |_| None).access().err().unwrap();
        let told = format!("{error:#} {error:?}");
        assert!(told.contains("kaggle.json") && !told.contains("secret"), "{told}");
    }
}
