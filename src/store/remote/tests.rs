//! A folder as a remote store: what arrives is what was sent, and nothing wrong gets in.

use std::path::PathBuf;

use super::super::Ingredients;
use super::*;
use crate::progress::Silent;

struct Places {
    _folder: tempfile::TempDir,
    ours: Store,
    theirs: Store,
    /// The folder of the remote store.
    root: PathBuf,
    remote: Remote,
}

fn places() -> Places {
    let folder = tempfile::tempdir().unwrap();
    let store = |name: &str| Store::open(&folder.path().join(name)).unwrap();
    let (ours, theirs, root) = (store("ours"), store("theirs"), folder.path().join("remote"));
    let remote = Remote::open(&Place::from(root.to_str().unwrap()), &Interrupt::default()).unwrap();
    Places { _folder: folder, ours, theirs, root, remote }
}

fn recorded(store: &Store, content: &[u8]) -> (Digest, Output) {
    let output = store.put_bytes(content).unwrap();
    let mut ingredients = Ingredients::default();
    ingredients.text("step", "train");
    let outputs = [("weights".to_owned(), output)].into_iter().collect();
    let action = Action { label: "train".into(), ingredients, outputs, seconds: 0.5, finished: 1, computed_by: None };
    (store.record(&action).unwrap(), output)
}

/// A small object, and one that is sent in parts.
#[test]
fn what_is_sent_arrives() {
    for length in [7, PART + 3] {
        let Places { ours, theirs, root, remote, _folder } = places();
        let error = remote.check().unwrap_err().to_string();
        assert!(error.ends_with("is not a store: it holds no file `seesaw-store`"), "{error}");
        remote.prepare().unwrap();
        remote.prepare().unwrap();
        let (key, output) = recorded(&ours, &vec![7; length]);
        remote.send(&output, &ours, &Silent).unwrap();
        remote.send_record(key, &ours).unwrap();
        let list = remote.list().unwrap();
        assert!(list.len() == 2 && Remote::lists(&list, &output) && Remote::lists_record(&list, key), "{list:?}");
        // The layout is that of a store.
        assert_eq!(Store::open(&root).unwrap().action(key), ours.action(key));

        assert_eq!(Some(remote.record(key).unwrap()), ours.action(key));
        assert!(matches!(remote.record(Digest::of(b"another")), Err(Fault::Absent)));
        remote.bring(&output, &theirs, &Silent).unwrap();
        theirs.verify(&output).unwrap();
    }
}

/// A wrong size, wrong bytes and a damaged record are refused, and leave nothing in the store.
#[test]
fn what_is_wrong_stays_out() {
    let Places { ours, theirs, root, remote, _folder } = places();
    remote.prepare().unwrap();
    let (key, output) = recorded(&ours, b"content");
    remote.send(&output, &ours, &Silent).unwrap();
    remote.send_record(key, &ours).unwrap();
    let there = Store::open(&root).unwrap();
    for (wrong, says) in
        [("CONTENT", "its content has the SHA-256"), ("conten", "its size is 6"), ("content!", "8 bytes")]
    {
        std::fs::write(there.object_path(output.sha256), wrong).unwrap();
        let fault = remote.bring(&output, &theirs, &Silent).unwrap_err();
        assert!(matches!(&fault, Fault::Wrong(text) if text.contains(says)), "{fault}");
    }
    std::fs::remove_file(there.object_path(output.sha256)).unwrap();
    assert!(matches!(remote.bring(&output, &theirs, &Silent), Err(Fault::Absent)));
    assert!(!theirs.object_path(output.sha256).exists());
    assert_eq!(std::fs::read_dir(theirs.quarantine()).unwrap().count(), 0);

    // The record of another key under this one, and one whose ingredients were edited with its seal.
    let record = std::fs::read_to_string(there.action_path(key)).unwrap();
    let mut action = ours.action(key).unwrap();
    action.ingredients.text("more", "edited");
    let other = ours.record(&action).unwrap();
    let edited =
        std::fs::read_to_string(ours.action_path(other)).unwrap().replace(&other.to_string(), &key.to_string());
    for text in ["{", &record.replace("0.5", "0.6"), &edited] {
        std::fs::write(there.action_path(key), text).unwrap();
        assert!(matches!(remote.record(key), Err(Fault::Wrong(_))), "{text}");
    }
}

/// What is damaged here is not sent.
#[test]
fn damage_is_not_sent() {
    let Places { ours, root, remote, _folder, .. } = places();
    let (_, output) = recorded(&ours, b"content");
    let path = ours.object_path(output.sha256);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(remote.send(&output, &ours, &Silent), Err(Fault::Absent)));
    std::fs::write(&path, "CONTENT").unwrap();
    assert!(matches!(remote.send(&output, &ours, &Silent), Err(Fault::Wrong(_))));
    assert!(!root.exists());
}

#[test]
fn a_stop_is_heard() {
    let Places { root, _folder, .. } = places();
    let interrupt = Interrupt::default();
    let remote = Remote::open(&Place::from(root.to_str().unwrap()), &interrupt).unwrap();
    interrupt.raise();
    assert_eq!(errors::class_of(&remote.check().unwrap_err()), Class::Interrupted);
}

/// A store of another version is neither read nor written.
#[test]
fn another_version_is_refused() {
    let Places { root, remote, _folder, .. } = places();
    std::fs::create_dir(&root).unwrap();
    for (mark, says) in [("seesaw store 9\n", "another version"), (&"<html>".repeat(1000), "something else")] {
        std::fs::write(root.join(MARK), mark).unwrap();
        for error in [remote.check().unwrap_err(), remote.prepare().unwrap_err()] {
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

/// After a failure nothing more is begun.
#[test]
fn work_ends_with_a_failure() {
    let begun = AtomicUsize::new(0);
    let items: Vec<usize> = (0..1000).collect();
    let error = for_each(&items, |item| {
        begun.fetch_add(1, Ordering::Relaxed);
        anyhow::ensure!(*item != 3, "the third");
        std::thread::sleep(Duration::from_millis(1));
        Ok(())
    });
    assert_eq!(error.unwrap_err().to_string(), "the third");
    assert!(begun.into_inner() < 900);
}
