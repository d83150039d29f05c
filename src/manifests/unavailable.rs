//! Archives that only a person can get, found before anything is tried.

use std::path::PathBuf;

use super::kaggle::Kaggle;
use super::{Archive, Source};

/// What a person has to do before an archive can be fetched. None if some source may have it already; whether a server has
/// it and accepts the key is not checked.
pub fn unavailable(archive: &Archive, manual_folders: &[PathBuf]) -> Option<String> {
    unavailable_for(archive, manual_folders, &Kaggle::of_this_user())
}

fn unavailable_for(archive: &Archive, manual_folders: &[PathBuf], kaggle: &Kaggle) -> Option<String> {
    let mut ways = Vec::new();
    for source in &archive.sources {
        ways.push(match source {
            Source::Kaggle { dataset, .. } if !kaggle.has_key() => {
                format!("create a key for Kaggle, which has it as {dataset} (see data-manifests/README.md)")
            }
            // Something that cannot be used is there as well: the step that fetches it says why.
            Source::Manual(manual) if matches!(manual.look(manual_folders), Ok(None)) => manual.request(),
            _ => return None,
        });
    }
    Some(ways.join("; or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(sources: &str) -> Archive {
        serde_json::from_str(&format!(r#"{{"name": "memes.zip", "at-most": 100, "sources": [{sources}]}}"#)).unwrap()
    }

    const MANUAL: &str = r#"{"type": "manual", "accept": "Accept the licence", "url": "https://example.org",
        "file": "memes.zip", "folder": "memes"}"#;
    const KAGGLE: &str = r#"{"type": "kaggle", "dataset": "a/b", "version": 1}"#;
    const OPEN: &str = r#"{"type": "https", "urls": ["https://example.org/memes.zip"]}"#;

    #[test]
    fn an_archive_is_unavailable_if_every_source_needs_a_person() {
        let folder = tempfile::tempdir().unwrap();
        let manual = [folder.path().to_owned()];
        let user = |environment| Kaggle { address: String::new(), settings: None, environment };
        let (nobody, somebody) = (user(|_| None), user(|name| (name == "KAGGLE_API_TOKEN").then(|| "key".into())));
        let both = archive(&format!("{KAGGLE}, {MANUAL}"));
        let message = unavailable_for(&both, &manual, &nobody).unwrap();
        assert!(
            message.contains("a key for Kaggle")
                && message.ends_with("put the file memes.zip, or the unpacked folder memes, into downloads/"),
            "{message}"
        );
        assert_eq!(unavailable_for(&both, &manual, &somebody), None);
        assert_eq!(unavailable_for(&archive(&format!("{MANUAL}, {OPEN}")), &manual, &nobody), None);
        std::fs::create_dir(folder.path().join("memes")).unwrap();
        assert_eq!(unavailable_for(&both, &manual, &nobody), None);
    }
}
