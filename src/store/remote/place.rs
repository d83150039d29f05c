//! Where a remote store is.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use anyhow::Context;
use object_store::ObjectStoreScheme;
use object_store::path::Path;
use reqwest::Url;

use crate::{errors, files, network};

/// The place of a remote store, as a person gave it. What it shows is without user, password and query.
#[derive(Clone, PartialEq, Eq)]
pub struct Place(String);

/// A place that was understood.
pub(super) enum Target {
    Folder(PathBuf),
    Server { scheme: ObjectStoreScheme, url: Url, prefix: Path },
}

/// Any text is taken, since the error message of a parser would quote it.
impl From<&str> for Place {
    fn from(text: &str) -> Self {
        Place(text.trim().to_owned())
    }
}

const EXPECTED: &str = "expected s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, https://HOST/PATH or a folder; \
                        special characters in a user or password are written as %2F";

impl Place {
    /// Whether nothing was given, as in a variable that is set to nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the form of the address; asks nothing.
    ///
    /// # Errors
    /// A usage error that does not quote what is no address, as it may hold a password all the same.
    pub fn check(&self) -> anyhow::Result<()> {
        self.target().map(drop)
    }

    /// The place as another process reads it, in whatever folder that runs. It may hold a password.
    ///
    /// # Errors
    /// As [`Place::check`]; or if a folder cannot be found.
    pub fn to_variable(&self) -> anyhow::Result<OsString> {
        match self.target()? {
            Target::Folder(folder) => {
                let absolute = files::absolute(&folder).with_context(|| format!("cannot find {}", folder.display()))?;
                Ok(absolute.into())
            }
            Target::Server { .. } => Ok((&self.0).into()),
        }
    }

    /// # Errors
    /// A usage error that does not quote what is no address, as it may hold a password all the same.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let unknown = || errors::usage("the address of the remote store cannot be read", EXPECTED);
        let Some((scheme, _)) = self.0.split_once("://") else {
            let first = self.0.split('/').next().unwrap_or_default();
            return if first.contains(':') { Err(unknown()) } else { Ok(Target::Folder(PathBuf::from(&self.0))) };
        };
        let url = Url::parse(&self.0).map_err(|_| unknown())?;
        let wrong = |what: String| errors::usage(format!("the remote store {self} {what}"), EXPECTED);
        match scheme {
            "file" => url.to_file_path().map(Target::Folder).map_err(|()| unknown()),
            "s3" | "s3a" | "gs" | "az" | "azure" | "adl" | "abfs" | "abfss" | "http" | "https" => {
                if scheme == "http" && !network::is_allowed(&url) {
                    return Err(wrong("should begin with https://".into()));
                }
                let parsed = ObjectStoreScheme::parse(&url);
                let (scheme, prefix) = parsed.map_err(|_| wrong("names no bucket, container or host".into()))?;
                Ok(Target::Server { scheme, url, prefix })
            }
            _ => Err(wrong(format!("is of an unknown kind, `{}`", url.scheme()))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(&self.0) {
            Ok(mut url) if self.0.contains("://") => {
                url.set_query(None);
                f.write_str(network::shown(&url).trim_end_matches('/'))
            }
            Err(_) if !self.0.split('/').next().unwrap_or_default().contains(':') => f.write_str(&self.0),
            _ => f.write_str("(not an address)"),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        for (text, expected) in [
            ("s3://bucket/a/b", "s3 a/b"),
            ("gs://bucket", "gs "),
            ("az://container/a", "az a"),
            ("https://reader:hunter2@example.org/a%20b/?sig=hunter2", "https a b"),
            ("http://127.0.0.1:8000/a", "http a"),
            ("file:///srv/store", "folder /srv/store"),
            ("../store", "folder ../store"),
            ("/srv/a:b", "folder /srv/a:b"),
        ] {
            let found = match Place::from(text).target().unwrap() {
                Target::Folder(folder) => format!("folder {}", folder.display()),
                Target::Server { url, prefix, .. } => format!("{} {prefix}", url.scheme()),
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    /// What is wrong is a usage error, and passwords are not shown.
    #[test]
    fn wrong_places_are_refused() {
        for (text, shown) in [
            ("http://example.org/a", "http://example.org/a"),
            ("ftp://reader:hunter2@example.org/a", "ftp://example.org/a"),
            ("https://reader:hunter2/x@example.org", "(not an address)"),
            ("reader:hunter2@example.org", "(not an address)"),
            ("s3:bucket/hunter", "(not an address)"),
            ("s3:///hunter", "s3:///hunter"),
        ] {
            let place = Place::from(text);
            assert_eq!(place.to_string(), shown);
            let error = place.target().err().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(errors::class_of(&error), errors::Class::Usage);
            assert!(!format!("{error:#} {:?}", errors::hint_of(&error)).contains("hunter2"), "{error:#}");
        }
        assert_eq!(Place::from("https://a:hunter2@example.org/a/?sig=hunter2").to_string(), "https://example.org/a");
    }
}
