//! Downloads against a server that misbehaves, and pips that do.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use seesaw::errors::{Class, class_of};
use seesaw::interrupt::Interrupt;
use seesaw::manifests::fetch::{FetchContext, FetchPlaces, Patience, fetch_archive};
use seesaw::manifests::{Archive, Source};
use seesaw::progress::{Progress, Unit};
use seesaw::store::Digest;

use crate::http_server::{Answer, Server};

fn body() -> Vec<u8> {
    (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn begin(&self, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64) {}
    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

struct Place {
    folder: tempfile::TempDir,
    context: FetchContext,
    notes: Arc<Heard>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let notes = Arc::new(Heard::default());
        let places = FetchPlaces {
            partial: folder.path().join("partial"),
            quarantine: folder.path().join("quarantine"),
            manual: vec![folder.path().join("downloads")],
        };
        let mut context = FetchContext::new(Interrupt::default(), notes.clone(), places);
        context.patience = Patience {
            connect: Duration::from_secs(2),
            stall: Duration::from_millis(400),
            tries: 4,
            pause: Duration::from_millis(10),
        };
        Place { folder, context, notes }
    }

    fn destination(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    fn fetch(&self, sources: Vec<Source>) -> anyhow::Result<()> {
        let archive =
            Archive { name: "file.zip".into(), sha256: Digest::of(&body()), size: body().len() as u64, sources };
        let result = fetch_archive(&archive, &self.destination(), &self.context);
        if result.is_ok() {
            assert!(std::fs::read(self.destination()).unwrap() == body());
        } else {
            assert!(!self.destination().exists(), "what failed leaves nothing to be used");
        }
        result
    }

    fn from(&self, urls: Vec<String>) -> anyhow::Result<()> {
        self.fetch(vec![Source::Https { urls }])
    }

    fn quarantined(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("quarantine")).map_or(0, Iterator::count)
    }
}

/// A download that is cut goes on where it stopped, in the same run and in a later one.
#[test]
fn a_cut_download_is_resumed() {
    let server = Server::start(body(), vec![Answer::CutAfter(100_000), Answer::CutAfter(50_000)]);
    let place = Place::new();
    place.from(vec![server.url("/file")]).unwrap();
    assert_eq!(*server.ranges.lock().unwrap(), ["", "bytes=100000-", "bytes=150000-"]);

    let server = Server::start(body(), vec![Answer::CutAfter(1000); 4]);
    let place = Place::new();
    let error = format!("{:#}", place.from(vec![server.url("/file")]).unwrap_err());
    assert!(error.contains("cannot fetch file.zip") && error.contains("4000"), "{error}");
    place.from(vec![server.url("/file")]).unwrap();
    assert_eq!(server.ranges.lock().unwrap().last().unwrap(), "bytes=4000-");
}

#[test]
fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let server = Server::start(body(), vec![Answer::CutAfter(100_000), Answer::IgnoreRange]);
    Place::new().from(vec![server.url("/file")]).unwrap();
    assert_eq!(*server.ranges.lock().unwrap(), ["", "bytes=100000-"]);
}

#[test]
fn passing_failures_are_tried_again_and_told() {
    let server = Server::start(body(), vec![Answer::Status(503), Answer::Status(500), Answer::Stall]);
    let place = Place::new();
    place.from(vec![server.url("/file")]).unwrap();
    let notes = place.notes.0.lock().unwrap();
    assert!(notes[0].contains("503") && notes[0].contains("trying again in"), "{notes:?}");
    assert_eq!(notes.len(), 3);
}

/// What will not get better is not tried again: the next mirror is.
#[test]
fn mirrors_are_tried_in_order() {
    let (gone, good) = (Server::start(body(), vec![Answer::Status(404)]), Server::start(body(), vec![]));
    let dead = "http://127.0.0.1:9/file".to_owned();
    let mut place = Place::new();
    place.context.patience.tries = 1;
    place.from(vec![dead, gone.url("/file"), good.url("/file")]).unwrap();
    assert_eq!((gone.ranges.lock().unwrap().len(), good.ranges.lock().unwrap().len()), (1, 1));
}

/// A file with another hash is set aside, never used, and the next mirror starts anew.
#[test]
fn a_wrong_hash_is_quarantined() {
    let (wrong, good) = (Server::start(body(), vec![Answer::WrongBytes; 2]), Server::start(body(), vec![]));
    let place = Place::new();
    let error = place.from(vec![wrong.url("/file")]).unwrap_err();
    let told = format!("{error:#}");
    assert!(told.contains(&format!("expected SHA-256 {}", Digest::of(&body()))) && told.contains("found "), "{told}");
    assert_eq!(place.quarantined(), 1);
    place.from(vec![wrong.url("/file"), good.url("/file")]).unwrap();
    assert_eq!(*good.ranges.lock().unwrap(), [""]);
}

#[test]
fn odd_answers_end_a_mirror() {
    for (answer, part) in [(Answer::TooMany, "more than the 300000 bytes"), (Answer::RedirectAway, "redirect")] {
        let server = Server::start(body(), vec![answer.clone(); 9]);
        let mut place = Place::new();
        place.context.patience.tries = 1;
        let error = format!("{:#}", place.from(vec![server.url("/file")]).unwrap_err());
        assert!(error.contains(part), "{answer:?}: {error}");
    }
    let server = Server::start(body(), vec![Answer::CutAfter(10), Answer::OtherRange]);
    let error = format!("{:#}", Place::new().from(vec![server.url("/file")]).unwrap_err());
    assert!(error.contains("another range"), "{error}");
    let error = format!("{:#}", Place::new().from(vec!["http://example.org/file".into()]).unwrap_err());
    assert!(error.contains("is not https"), "{error}");
}

#[test]
fn redirects_are_followed() {
    let server = Server::start(body(), vec![Answer::Redirect("/there"), Answer::Redirect("/and-there")]);
    Place::new().from(vec![server.url("/file")]).unwrap();
    let round = Server::start(body(), vec![Answer::Redirect("/file"); 50]);
    let mut place = Place::new();
    place.context.patience.tries = 1;
    assert!(place.from(vec![round.url("/file")]).is_err());
}

/// A stop is heard while a server is silent.
#[test]
fn a_silent_server_does_not_hold_up_a_stop() {
    let server = Server::start(body(), vec![Answer::Stall; 9]);
    let mut place = Place::new();
    place.context.patience.stall = Duration::from_secs(60);
    let interrupt = place.context.interrupt.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        interrupt.raise();
    });
    let began = Instant::now();
    let error = place.from(vec![server.url("/file")]).unwrap_err();
    assert_eq!(class_of(&error), Class::Interrupted);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_file_put_there_by_hand_is_verified() {
    let place = Place::new();
    let manual = || {
        vec![Source::Manual {
            accept: "Accept the licence".into(),
            url: "https://example.org/licence".into(),
            file: "given.zip".into(),
        }]
    };
    let error = place.fetch(manual()).unwrap_err();
    let hint = seesaw::errors::hint_of(&error).unwrap().to_owned();
    assert!(
        hint.starts_with("Accept the licence at https://example.org/licence, then put the file given.zip"),
        "{hint}"
    );
    let given = place.folder.path().join("downloads/given.zip");
    std::fs::create_dir_all(given.parent().unwrap()).unwrap();
    std::fs::write(&given, "something else").unwrap();
    assert!(place.fetch(manual()).is_err());
    assert!(given.exists(), "a person's own file is left where it is");
    std::fs::write(&given, body()).unwrap();
    place.fetch(manual()).unwrap();
}

/// A pip that is a shell script: `$1 … download … -d FOLDER PACKAGE==VERSION`.
fn with_pip(script: &str) -> Place {
    let mut place = Place::new();
    let path = place.folder.path().join("pip");
    std::fs::write(place.folder.path().join("wheel"), body()).unwrap();
    let script = format!(
        "#!/bin/sh\nwhile [ \"$1\" != -d ]; do shift; done\nfolder=$2\nwheel={}/wheel\n{script}\n",
        place.folder.path().display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    place.context.pip = Some(vec![path.display().to_string()]);
    place
}

fn package() -> Vec<Source> {
    vec![Source::PythonPackage { package: "file".into(), version: "1.0".into() }]
}

#[test]
fn a_wheel_by_pip_is_verified() {
    with_pip("cp $wheel $folder/file.zip").fetch(package()).unwrap();
    let place = with_pip("echo other > $folder/file.zip");
    let error = format!("{:#}", place.fetch(package()).unwrap_err());
    assert!(error.contains("expected SHA-256") && place.quarantined() == 1, "{error}");
    let error = format!("{:#}", with_pip("cp $wheel $folder/other.zip").fetch(package()).unwrap_err());
    assert!(error.contains("should bring file.zip") && error.contains("other.zip"), "{error}");
    let error = format!("{:#}", with_pip("echo 'no such version' >&2; exit 7").fetch(package()).unwrap_err());
    assert!(error.contains("no such version") && error.contains("exit status: 7"), "{error}");
    let mut place = Place::new();
    place.context.pip = Some(vec!["/nowhere/pip".into()]);
    let error = place.fetch(package()).unwrap_err();
    assert!(seesaw::errors::hint_of(&error).unwrap().contains("SEESAW_PIP"));
}

fn is_running(id: &Path) -> bool {
    let id = std::fs::read_to_string(id).unwrap();
    // A process that has ended and was not waited for is listed as Z.
    std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A pip that hangs is ended by a stop, with everything that it started.
#[test]
fn a_hanging_pip_is_ended_with_its_children() {
    let place = with_pip("(sleep 60 & echo $! > $wheel.id; wait)");
    let (interrupt, id) = (place.context.interrupt.clone(), place.folder.path().join("wheel.id"));
    let there = id.clone();
    std::thread::spawn(move || {
        while !std::fs::read_to_string(&there).is_ok_and(|text| text.ends_with('\n')) {
            std::thread::sleep(Duration::from_millis(10));
        }
        interrupt.raise();
    });
    let error = place.fetch(package()).unwrap_err();
    assert_eq!(class_of(&error), Class::Interrupted);
    let began = Instant::now();
    while is_running(&id) {
        assert!(began.elapsed() < Duration::from_secs(5), "a child lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}
