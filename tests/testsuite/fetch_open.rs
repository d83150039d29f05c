//! Downloads without a public checksum, from hubs, from Kaggle, and folders that a person unpacked.

use std::sync::Arc;

use seesaw::archives::ZipReader;
use seesaw::digest::Digest;
use seesaw::errors::{Class, class_of, hint_of};
use seesaw::interrupt::Interrupt;
use seesaw::manifests::fetch::fetch_archive;
use seesaw::manifests::kaggle::Kaggle;
use seesaw::manifests::lock::Locked;
use seesaw::manifests::{Archive, GitBlob, KnownFile, Manual, Source};
use seesaw::progress::{Progress, Unit};

use crate::fetch::{Place, body, open};
use crate::http_server::{Answer, Server};

fn from(server: &Server) -> Archive {
    open("open.tar.gz", vec![Source::Https { urls: vec![server.url("/open.tar.gz")] }])
}

/// What a person puts there, packed or not.
fn memes() -> Archive {
    let source = Source::Manual(Manual {
        accept: "Accept the licence".into(),
        url: "https://example.org".into(),
        file: "memes.zip".into(),
        folder: Some("memes".into()),
    });
    open("memes.zip", vec![source])
}

fn renamed(zip: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut zip = zip.to_vec();
    for at in 0..=zip.len() - from.len() {
        if zip[at..].starts_with(from) {
            zip[at..at + to.len()].copy_from_slice(to);
        }
    }
    zip
}

fn fetched(place: &Place, archive: &Archive) -> anyhow::Result<Vec<u8>> {
    let result = fetch_archive(archive, &place.destination(), &place.context);
    assert_eq!(result.is_ok(), place.destination().exists());
    result.map(|()| std::fs::read(place.destination()).unwrap())
}

/// What nobody pinned is taken as the server has it, to its announced end.
#[test]
fn an_open_download_is_taken_as_it_is() {
    let server = Server::start(body(), vec![]);
    assert!(fetched(&Place::new(), &from(&server)).unwrap() == body());
    let server = Server::start(body(), vec![Answer::CutAfter(1000); 4]);
    let error = format!("{:#}", fetched(&Place::new(), &from(&server)).unwrap_err());
    assert!(error.contains("cut after 1000 of 300000 bytes"), "{error}");
}

/// The rest is asked for only where the server names the version, and only of that version.
#[test]
fn an_open_download_goes_on_within_one_version() {
    let place = Place::new();
    let cut = Answer::VersionCutAfter("\"one\"", 100_000);
    let server = Server::start(body(), vec![cut.clone(), Answer::Version("\"one\"")]);
    assert!(fetched(&place, &from(&server)).unwrap() == body());
    assert_eq!(*server.ranges.lock().unwrap(), ["", "bytes=100000-"]);

    // A version that changed meanwhile, and a server that names none, begin anew.
    let server = Server::start(body(), vec![cut.clone(), Answer::Version("\"two\"")]);
    assert!(fetched(&place, &from(&server)).unwrap() == body());
    assert_eq!(server.conditions.lock().unwrap()[1], "\"one\"");
    let server = Server::start(body(), vec![Answer::CutAfter(100_000), Answer::Good]);
    assert!(fetched(&place, &from(&server)).unwrap() == body());
    assert_eq!(*server.ranges.lock().unwrap(), ["", ""]);
}

/// A later process goes on with what an earlier one left, unless the address is another one.
#[test]
fn an_open_download_goes_on_in_a_later_run() {
    let place = Place::new();
    let cut = Answer::VersionCutAfter("\"one\"", 1000);
    let server = Server::start(body(), vec![cut.clone(), cut.clone(), cut.clone(), cut]);
    fetched(&place, &from(&server)).unwrap_err();
    let other = Server::start(body(), vec![]);
    let mut elsewhere = from(&other);
    elsewhere.name = "another.tar.gz".into();
    assert!(fetched(&place, &elsewhere).unwrap() == body());
    std::fs::remove_file(place.destination()).unwrap();
    let left = server.ranges.lock().unwrap().len();
    let good = Server::start(body(), vec![]);
    let mut moved = from(&good);
    moved.at_most = Some(299_999);
    fetched(&place, &moved).unwrap_err();
    assert_eq!(*good.ranges.lock().unwrap(), [""], "another address may have another file");
    // What it left belongs to nobody now; a run that is cut leaves what the next one goes on with.
    let cut = Answer::VersionCutAfter("\"one\"", 1000);
    let server = Server::start(body(), [vec![cut; 4], vec![Answer::Version("\"one\"")]].concat());
    fetched(&place, &from(&server)).unwrap_err();
    assert!(fetched(&place, &from(&server)).unwrap() == body());
    assert_eq!(server.ranges.lock().unwrap().last().unwrap(), "bytes=4000-");
    assert_eq!(left, 4);
}

#[test]
fn what_cannot_be_the_file_is_refused() {
    let place = Place::new();
    let server = Server::start(body(), vec![]);
    let mut archive = from(&server);
    archive.at_most = Some(1000);
    let error = format!("{:#}", fetched(&place, &archive).unwrap_err());
    assert!(error.contains("announces 300000 bytes, more than the 1000"), "{error}");
    let page = b"<html>please log in</html>".to_vec();
    for kind in ["text/html", "Text/HTML; charset=UTF-8", "application/xhtml+xml"] {
        let server = Server::start(page.clone(), vec![Answer::Typed(kind)]);
        let error = format!("{:#}", fetched(&place, &from(&server)).unwrap_err());
        assert!(error.contains("a web page in place of the file"), "{error}");
    }
    // Whatever it is called, and whatever the server calls it.
    for (name, page) in [("open.bin", &page), ("vocab.txt", &b" \n<!DOCTYPE HTML>".to_vec())] {
        let server = Server::start(page.clone(), vec![Answer::Typed("application/octet-stream")]);
        let archive = open(name, vec![Source::Https { urls: vec![server.url("/file")] }]);
        let error = format!("{:#}", fetched(&place, &archive).unwrap_err());
        assert!(error.contains("it looks like a web page"), "{error}");
    }
}

/// The rest of another version is never joined to what is there, even if the server does not look at the condition.
#[test]
fn two_versions_are_not_joined() {
    let cut = Answer::VersionCutAfter("\"one\"", 100_000);
    for insisting in [
        Answer::Insists("ETag: \"two\"", 300_000),
        Answer::Insists("ETag: W/\"one\"", 300_000),
        Answer::Insists("ETag: \"one\"", 300_001),
        Answer::Insists("X-Version: none", 300_000),
    ] {
        let server = Server::start(body(), vec![cut.clone(), insisting.clone(), Answer::Version("\"two\"")]);
        let place = Place::new();
        assert!(fetched(&place, &from(&server)).unwrap() == body());
        assert_eq!(*server.ranges.lock().unwrap(), ["", "bytes=100000-", ""], "{insisting:?}");
    }
    let server = Server::start(body(), vec![cut, Answer::Insists("ETag: \"one\"", 300_000)]);
    assert!(fetched(&Place::new(), &from(&server)).unwrap() == body());
}

/// User and password go to the hub, and are neither in a message nor on the disk.
#[test]
fn credentials_are_sent_and_not_shown() {
    let server = Server::start(body(), vec![Answer::Status(404), Answer::CutAfter(1000), Answer::Status(404)]);
    let mut place = Place::new();
    place.context.hub = format!("http://reader:hunter2%2Fx@127.0.0.1:{}", server.port).as_str().into();
    let (repository, revision) = ("owner/name".to_owned(), "0123456789".repeat(4));
    let archive = open("model.bin", vec![Source::Hub { repository, revision, file: "model.bin".into() }]);
    for _ in 0..2 {
        let error = format!("{:?}", fetched(&place, &archive).unwrap_err());
        assert!(error.contains("404") && !error.contains("hunter2") && !error.contains("reader"), "{error}");
    }
    let sent = server.authorizations.lock().unwrap().clone();
    // reader:hunter2/x
    assert!(sent.len() == 3 && sent.iter().all(|sent| sent == "Basic cmVhZGVyOmh1bnRlcjIveA=="), "{sent:?}");
    for file in std::fs::read_dir(place.folder.path().join("partial")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    }
}

/// What nobody pinned and cannot be read to its end is refused with its reason and leaves nothing, so that the next fetch
/// looks anew; what is pinned counts by its hash alone.
#[test]
fn an_open_archive_is_read_before_it_is_taken() {
    let body = body();
    let mut flipped = body.clone();
    flipped[150_000] ^= 1;
    let mut locked = body.clone();
    let directory = body.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    // Bit 0 of the flags, in the member's header and in the directory.
    locked[6] |= 1;
    locked[directory + 8] |= 1;
    let up = renamed(&body, b"noise", b"../up");
    for (content, expected, advice) in [
        (flipped, "`noise` in downloads/memes.zip", "fetch it again"),
        (locked, "`noise` in downloads/memes.zip is locked with a password", "put the folder into `downloads/`"),
        (body[..200_000].to_vec(), "downloads/memes.zip is not a readable zip archive", "incomplete"),
        (up, "downloads/memes.zip has a member named \"../up\"", "fetch it again"),
    ] {
        let (place, archive) = (Place::new(), memes());
        place.give("memes.zip", &content);
        let error = fetched(&place, &archive).unwrap_err();
        let (told, hint) = (format!("{error:#}"), hint_of(&error).unwrap().to_owned());
        assert!(told.contains(expected) && hint.contains(advice), "{told}; {hint}");
        assert!(hint.contains("nothing was recorded"), "{hint}");
        place.give("memes.zip", &body);
        assert!(fetched(&place, &archive).unwrap() == body);
        std::fs::remove_file(place.destination()).unwrap();

        let locked = Some(Locked { sha256: Digest::of(&content), size: content.len() as u64 });
        place.give("memes.zip", &content);
        assert!(fetched(&place, &Archive { locked, ..archive }).unwrap() == content);
    }
}

/// Asks for a stop when work of unknown length begins, which looking at an archive is.
struct Stopping(Interrupt);

impl Progress for Stopping {
    fn begin(&self, total: Option<u64>, _: Unit) {
        if total.is_none() {
            self.0.raise();
        }
    }
    fn advance(&self, _: u64) {}
    fn note(&self, _: &str) {}
}

/// A stop is heard while an archive is looked at, and is no fault of the archive.
#[test]
fn a_stop_ends_the_look_at_an_archive() {
    let mut place = Place::new();
    place.give("memes.zip", &body());
    place.context.progress = Arc::new(Stopping(place.context.interrupt.clone()));
    let error = fetch_archive(&memes(), &place.destination(), &place.context).unwrap_err();
    assert_eq!(class_of(&error), Class::Interrupted);
}

/// Asks for a stop when something begins once a file is there: while what was downloaded is looked at.
struct StoppingAt(Interrupt, std::path::PathBuf);

impl Progress for StoppingAt {
    fn begin(&self, _: Option<u64>, _: Unit) {
        if self.1.is_file() {
            self.0.raise();
        }
    }
    fn advance(&self, _: u64) {}
    fn note(&self, _: &str) {}
}

/// What came whole before a stop does not come again, however often somebody stops.
#[test]
fn a_stop_costs_no_download() {
    let server = Server::start(body(), vec![]);
    let mut place = Place::new();
    let archive = from(&server);
    for _ in 0..2 {
        place.context.interrupt = Interrupt::default();
        place.context.progress = Arc::new(StoppingAt(place.context.interrupt.clone(), place.destination()));
        let error = fetched(&place, &archive).unwrap_err();
        assert_eq!(class_of(&error), Class::Interrupted);
    }
    place.context.interrupt = Interrupt::default();
    place.context.progress = place.notes.clone();
    assert!(fetched(&place, &archive).unwrap() == body());
    assert_eq!(server.ranges.lock().unwrap().len(), 1);
    assert!(std::fs::read_dir(&place.context.places.partial).unwrap().next().is_none(), "nothing is left behind");

    // What waits and is not what is asked for now is not taken.
    std::fs::rename(place.destination(), place.context.places.partial.join("kept")).unwrap();
    place.context.interrupt = Interrupt::default();
    place.context.progress = Arc::new(StoppingAt(place.context.interrupt.clone(), place.destination()));
    fetched(&place, &archive).unwrap_err();
    place.context.interrupt = Interrupt::default();
    place.context.progress = place.notes.clone();
    let other = Archive { locked: Some(Locked { sha256: Digest::of(b"other"), size: 5 }), ..archive };
    fetched(&place, &other).unwrap_err();
    assert!(place.notes.0.lock().unwrap().iter().any(|note| note.contains("downloading it again")));
}

/// Recorded once, verified ever after.
#[test]
fn a_locked_download_is_held_against_its_record() {
    let server = Server::start(body(), vec![]);
    let mut archive = from(&server);
    archive.locked = Some(Locked { sha256: Digest::of(&body()), size: body().len() as u64 });
    assert!(fetched(&Place::new(), &archive).unwrap() == body());
    archive.locked = Some(Locked { sha256: Digest::of(b"other"), size: body().len() as u64 });
    let place = Place::new();
    let error = format!("{:#}", fetched(&place, &archive).unwrap_err());
    assert!(error.contains("as its lock file recorded") && place.quarantined() == 1, "{error}");
}

/// A record may be of another form of the same data. A version that a public source lists is right whatever was recorded,
/// and is looked at all the same; another one is refused, with how it may have come about.
#[test]
fn a_record_may_be_of_another_form() {
    let place = Place::new();
    let packed = Digest::of(b"the same, from a folder");
    let recorded = Archive { locked: Some(Locked { sha256: packed, size: 23 }), ..memes() };
    place.give("memes.zip", &body());
    let error = fetched(&place, &recorded).unwrap_err();
    let hint = hint_of(&error).unwrap();
    assert!(hint.contains("an unpacked folder") && hint.contains("`seesaw fetch --relock NAME`"), "{hint}");

    let known = |content: &[u8]| Archive {
        known: vec![KnownFile { sha256: Digest::of(content), note: "phase 1".into() }],
        ..recorded.clone()
    };
    assert!(fetched(&place, &known(&body())).unwrap() == body());
    std::fs::remove_file(place.destination()).unwrap();
    let error = format!("{:#}", fetched(&place, &known(b"another")).unwrap_err());
    assert!(error.contains("(23 bytes), as its lock file recorded"), "{error}");
    place.give("memes.zip", b"cut");
    let error = format!("{:#}", fetched(&place, &known(b"cut")).unwrap_err());
    assert!(error.contains("neither a zip nor a tar"), "{error}");
}

/// A server that has another version is not one that cannot be reached.
#[test]
fn another_version_is_told_as_one() {
    let server = Server::start(body(), vec![]);
    let mut archive = from(&server);
    archive.locked = Some(Locked { sha256: Digest::of(b"short"), size: 5 });
    let error = fetched(&Place::new(), &archive).unwrap_err();
    let (told, hint) = (format!("{error:#}"), hint_of(&error).unwrap());
    assert!(told.contains("the server has another file: expected 5 bytes, it announces 300000"), "{told}");
    assert!(hint.contains("--relock") && !hint.contains("network"), "{hint}");
    (archive.locked, archive.sha256, archive.size) = (None, Some(Digest::of(b"short")), Some(5));
    let error = fetched(&Place::new(), &archive).unwrap_err();
    assert!(hint_of(&error).unwrap().contains("a new version"), "{error:#}");
}

#[test]
fn a_git_blob_is_verified() {
    let server = Server::start(body(), vec![]);
    let mut archive = from(&server);
    archive.git_blob = Some(GitBlob::of(&body()));
    assert!(fetched(&Place::new(), &archive).unwrap() == body());
    archive.git_blob = Some(GitBlob::of(b"other"));
    let error = format!("{:#}", fetched(&Place::new(), &archive).unwrap_err());
    assert!(error.contains("expected the Git blob"), "{error}");
}

/// The revision is part of the address, and the bytes are what counts.
#[test]
fn a_hub_is_asked_for_a_commit() {
    let server = Server::start(body(), vec![Answer::Redirect("/cdn"), Answer::Version("\"an-xet-id\"")]);
    let mut place = Place::new();
    place.context.hub = server.url("").as_str().into();
    let (repository, revision) = ("owner/name".to_owned(), "0123456789".repeat(4));
    let source = Source::Hub { repository, revision: revision.clone(), file: "model.safetensors".into() };
    let mut archive = open("model.safetensors", vec![source]);
    archive.sha256 = Some(Digest::of(&body()));
    assert!(fetched(&place, &archive).unwrap() == body());
    let expected = [format!("/owner/name/resolve/{revision}/model.safetensors"), "/cdn".to_owned()];
    assert_eq!(*server.paths.lock().unwrap(), expected);
}

/// Kaggle hears the key, the place it redirects to does not, and nobody is told.
#[test]
fn kaggle_is_asked_with_the_users_key() {
    let elsewhere = Server::start(body(), vec![]);
    let redirect = Answer::RedirectTo(elsewhere.url("/file").replace("127.0.0.1", "localhost"));
    let server = Server::start(body(), vec![redirect, Answer::Status(403)]);
    let mut place = Place::new();
    let environment = |name: &str| (name == "KAGGLE_API_TOKEN").then(|| "very-secret".to_owned());
    place.context.kaggle = Kaggle { address: server.url(""), settings: None, environment };
    let archive = open("food.zip", vec![Source::Kaggle { dataset: "owner/name".into(), version: 3 }]);
    assert!(fetched(&place, &archive).unwrap() == body());
    assert_eq!(*server.paths.lock().unwrap(), ["/api/v1/datasets/download/owner/name?datasetVersionNumber=3"]);
    assert_eq!(*server.authorizations.lock().unwrap(), ["Bearer very-secret"]);
    assert_eq!(*elsewhere.authorizations.lock().unwrap(), [""]);

    std::fs::remove_file(place.destination()).unwrap();
    let error = fetched(&place, &archive).unwrap_err();
    assert!(hint_of(&error).unwrap().contains("your key for Kaggle is valid"), "{error:#}");
    place.context.kaggle.environment = |_| None;
    let server = Server::start(body(), vec![Answer::Status(401)]);
    place.context.kaggle.address = server.url("");
    let refused = fetched(&place, &archive).unwrap_err();
    assert!(hint_of(&refused).unwrap().contains("no key for Kaggle was found"), "{refused:#}");
    // A network that is away is no matter of keys.
    let mut offline = Place::new();
    offline.context.kaggle = Kaggle { address: "http://127.0.0.1:9".into(), settings: None, environment };
    let away = fetched(&offline, &archive).unwrap_err();
    assert!(hint_of(&away).is_some_and(|hint| hint.contains("network") && !hint.contains("key")), "{away:#}");
    let notes = place.notes.0.lock().unwrap();
    assert!(!format!("{error:?} {refused:?} {notes:?}").contains("very-secret"));
}

/// A folder that a person unpacked does as well as the file, and the same content gives the same bytes.
#[test]
fn a_folder_is_packed() {
    let (place, archive) = (Place::new(), memes());
    let error = fetched(&place, &archive).unwrap_err();
    let hint = hint_of(&error).unwrap();
    assert!(
        hint.starts_with("Accept the licence at https://example.org, then put the file memes.zip, or the unpacked")
    );
    let folder = place.folder.path().join("downloads/memes");
    std::fs::create_dir_all(folder.join("img")).unwrap();
    std::fs::write(folder.join("train.jsonl"), "{}").unwrap();
    std::fs::write(folder.join("img/1.png"), "png").unwrap();
    let packed = fetched(&place, &archive).unwrap();
    let mut reader = ZipReader::open(&place.destination()).unwrap();
    assert_eq!(reader.names(), ["img/1.png", "train.jsonl"]);
    assert_eq!(reader.read("img/1.png").unwrap(), b"png");
    std::fs::remove_file(place.destination()).unwrap();
    assert!(fetched(&place, &archive).unwrap() == packed);
}
