//! The user's own key for Kaggle. It is sent to Kaggle only, and never written, logged or shown.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use crate::network::Access;
use crate::settings::variable;
use crate::{errors, files};

/// The address of Kaggle, and where to find the key of the user.
#[derive(Clone)]
pub struct Kaggle {
    pub address: String,
    /// The folder of the user's settings for Kaggle.
    pub settings: Option<PathBuf>,
    /// Environment variables, by the names that Kaggle's client uses.
    pub environment: fn(&str) -> Option<String>,
}

/// `kaggle.json`, as Kaggle offers it for download.
#[derive(Deserialize)]
struct Key {
    username: String,
    key: String,
}

impl Kaggle {
    /// The settings that Kaggle's client uses.
    pub fn of_this_user() -> Self {
        let home = || Some(PathBuf::from(variable("HOME")?).join(".kaggle"));
        let settings = variable("KAGGLE_CONFIG_DIR").map(PathBuf::from).or_else(home);
        Kaggle { address: "https://www.kaggle.com".to_owned(), settings, environment: variable }
    }

    /// Whether there is a key, valid or not.
    pub(super) fn has_key(&self) -> bool {
        !matches!(self.access(), Ok(Access::Open))
    }

    /// The token, or the name and key, from the environment or else from the files of Kaggle's client.
    pub(super) fn access(&self) -> anyhow::Result<Access> {
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
        // The message leaves out the content, which may be a key.
        let key: Key = serde_json::from_str(&text).map_err(|_| {
            errors::failed(
                format!("{} should hold an object with `username` and `key`", file.display()),
                "create a new key in your settings on Kaggle, and replace the file with the one that you get",
            )
        })?;
        Ok(Access::Basic(key.username, key.key))
    }
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read(path) {
        // PowerShell writes a byte order mark, or UTF-16.
        Ok(bytes) => Ok(Some(files::decoded(&bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(settings: &Path, environment: fn(&str) -> Option<String>) -> Kaggle {
        Kaggle { address: String::new(), settings: Some(settings.to_owned()), environment }
    }

    #[test]
    fn the_key_is_found_where_kaggles_client_finds_it() {
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
    fn errors_do_not_show_a_malformed_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kaggle.json"), r#"{"username": "me", "kee": "secret"}"#).unwrap();
        let error = user(folder.path(), |_| None).access().err().unwrap();
        let message = format!("{error:#} {error:?}");
        assert!(message.contains("kaggle.json") && !message.contains("secret"), "{message}");
    }
}
