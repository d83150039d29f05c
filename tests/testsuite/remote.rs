//! `seesaw push`, `seesaw pull` and runs that read through a remote store: a folder, the same behind a server of ours that
//! misbehaves, and the servers of `tests/remote-local`. Where those cannot be started, the tests that need them say that they
//! were skipped; with `SEESAW_REMOTE_SERVERS=required`, as in `.ci/run`, they fail.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use seesaw::store::{Action, Store};
use serde_json::{Value, json};

use crate::between::{Behind, Between, Turn};
use crate::project::{Project, SUITE, told};

/// A remote store, as the command line names it, and the variables for it.
struct Remote {
    url: String,
    variables: Vec<(&'static str, String)>,
}

impl Remote {
    fn at(url: &str) -> Self {
        Remote { url: url.to_owned(), variables: Vec::new() }
    }

    fn command(&self, project: &Project, arguments: &[&str]) -> Command {
        let mut command = project.command(arguments);
        command.args(["--remote", &self.url]).envs(self.variables.clone()).env("NO_PROXY", "127.0.0.1");
        command
    }

    /// Runs and expects an exit code.
    fn ends(&self, code: i32, project: &Project, arguments: &[&str]) -> Output {
        let output = self.command(project, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", told(&output));
        output
    }

    /// As [`Remote::ends`], with `--json`.
    fn json(&self, code: i32, project: &Project, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.ends(code, project, &[arguments, &["--json"]].concat()).stdout).unwrap()
    }
}

/// One seed and one table.
fn suite() -> String {
    let one = SUITE.replace("seeds = [1, 2]", "seeds = [1]").replace("[0.0, 0.5, 1.0]", "[0.0, 1.0]");
    one.replace("\n[[outputs]]\ntarget = \"figure4\"\n", "")
}

fn new_project() -> Project {
    let project = Project::new();
    project.write_suite(&suite());
    project
}

/// A project whose suite is done, for the tests that run at the same time. They leave it as it is.
fn done() -> Arc<Project> {
    static DONE: Mutex<Weak<Project>> = Mutex::new(Weak::new());
    let mut done = DONE.lock().unwrap_or_else(|error| error.into_inner());
    done.upgrade().unwrap_or_else(|| {
        let project = Arc::new(new_project());
        project.succeed(&["run", "tiny"]);
        *done = Arc::downgrade(&project);
        project
    })
}

/// A project without archives: what it does not take over, it cannot compute.
fn without_archives() -> Project {
    let project = new_project();
    std::fs::remove_dir_all(project.root.join("downloads")).unwrap();
    project
}

fn store(project: &Project) -> Store {
    Store::open(&project.root.join(".seesaw")).unwrap()
}

/// The record of a step that is done.
fn record(project: &Project, label: &str) -> Action {
    store(project).latest(label).unwrap_or_else(|| panic!("{label} is done"))
}

/// The path of an object behind the address of a remote store.
fn path(action: &Action, output: &str) -> String {
    let name = action.outputs[output].sha256.to_string();
    format!("/objects/{}/{name}", &name[..2])
}

/// A folder with everything of the suite but data.
fn pushed(project: &Project) -> (tempfile::TempDir, Remote) {
    let folder = tempfile::tempdir().unwrap();
    let remote = Remote::at(folder.path().join("remote").to_str().unwrap());
    remote.ends(0, project, &["push", "tiny"]);
    (folder, remote)
}

/// Pushes, pushes again, pulls on another machine and runs there: nothing is sent twice, and nothing is computed twice.
fn round_trip(remote: &Remote) -> Project {
    let project = done();
    let first = remote.json(0, &project, &["push", "tiny"]);
    assert!(first["records"].as_u64() > Some(15) && first["files"].as_u64() > Some(15), "{first}");
    assert!(first["left_out"]["files"].as_u64() > Some(4), "{first}");
    let again = remote.json(0, &project, &["push", "tiny"]);
    assert_eq!((&again["records"], &again["files"], &again["present"]), (&json!(0), &json!(0), &first["files"]));

    let other = without_archives();
    let pulled = remote.json(0, &other, &["pull", "tiny"]);
    assert_eq!((&pulled["pulled"], &pulled["absent"]), (&pulled["steps"], &json!(0)), "{pulled}");
    assert_eq!((&pulled["size"], &pulled["left_out"]), (&first["size"], &first["left_out"]), "{pulled}");
    assert!(other.succeed(&["run", "tiny"]).starts_with("nothing to do: all "));
    assert!(other.results() == project.results());
    let again = remote.json(0, &other, &["pull", "tiny"]);
    assert_eq!((&again["pulled"], &again["files"]), (&json!(0), &json!(0)), "{again}");
    other
}

#[test]
fn a_folder_carries_a_suite_to_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("here")).unwrap();
    let remote = Remote::at(folder.path().join("here/../remote").to_str().unwrap());
    let other = round_trip(&remote);
    let verified = other.succeed(&["store", "verify"]);
    assert!(verified.contains("all are whole\n") && verified.contains("\nnot here: "), "{verified}");
    assert!(other.succeed(&["prune", "--keep-days", "0"]).starts_with("removed 0 results and 0 files"));
    assert!(other.succeed(&["run", "tiny"]).starts_with("nothing to do"));
    assert!(other.succeed(&["explain", "--suite", "tiny", "prepare emoji-subgroup"]).contains("is not in the store"));

    // With the data, whose licences are shown.
    let project = done();
    let output = remote.ends(0, &project, &["push", "tiny", "--with-data"]);
    let licences = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(licences.contains("under these licences:\n  ") && licences.contains("Apache-2.0"), "{licences}");
    // What is there is not sent again, and who wants to read nothing reads none of it.
    let again = remote.ends(0, &project, &["push", "tiny", "--with-data"]);
    assert!(again.stderr.is_empty(), "{}", told(&again));
    let quiet = Remote::at(folder.path().join("quiet").to_str().unwrap());
    let quietly = quiet.ends(0, &project, &["push", "tiny", "--with-data", "-q"]);
    assert!(quietly.stderr.is_empty() && quietly.stdout.is_empty(), "{}", told(&quietly));
    let pulled = remote.json(0, &other, &["pull", "tiny", "--with-data"]);
    assert!(pulled["files"].as_u64() > Some(4), "{pulled}");
    assert_eq!(pulled["left_out"]["files"], 0);
    let verified = other.succeed(&["store", "verify"]);
    assert!(verified.ends_with("all are whole\n"), "{verified}");

    // Results of another time have files of today.
    other.write_suite(&suite().replace("seeds = [1]", "seeds = [9]"));
    std::fs::remove_dir_all(other.root.join("out")).unwrap();
    let weights = other.object("train emoji-subgroup balgrad seed 1", "weights");
    assert!(weights.exists());
    other.succeed(&["prune", "--keep-days", "0"]);
    assert!(!weights.exists());
}

/// A push of a suite that is not done says so, and what the rest needs is told on the other side.
#[test]
fn a_push_says_what_is_not_done() {
    let project = new_project();
    let folder = tempfile::tempdir().unwrap();
    let remote = Remote::at(folder.path().join("remote").to_str().unwrap());
    project.succeed(&["fetch", "emoji", "efficientnet-lite0", "all-minilm-l6-v2"]);
    let pushed = remote.ends(0, &project, &["push", "tiny"]);
    assert!(told(&pushed).contains("25 of 30 steps are not done yet, and not sent"), "{}", told(&pushed));
    assert!(
        told(&remote.ends(0, &project, &["pull", "tiny"])).contains("25 of 30 steps are not done; `seesaw run tiny`")
    );
}

/// What is there is not sent again; what is damaged here is not sent, nor is a record without its files.
#[test]
fn a_push_continues_and_sends_nothing_damaged() {
    let project = done();
    let (_folder, remote) = pushed(&project);
    let training = record(&project, "train emoji-subgroup balgrad seed 1");
    let there = Store::open(Path::new(&remote.url)).unwrap();
    let (object, key) = (there.object_path(training.outputs["weights"].sha256), training.ingredients.key());
    std::fs::remove_file(&object).unwrap();
    std::fs::remove_file(there.action_path(key)).unwrap();
    let again = remote.json(0, &project, &["push", "tiny"]);
    assert_eq!((&again["records"], &again["files"]), (&json!(1), &json!(1)), "{again}");
    assert!(there.verify(&training.outputs["weights"]).is_ok() && there.action(key) == Some(training.clone()));

    let other = without_archives();
    remote.ends(0, &other, &["pull", "tiny"]);
    let weights = other.object("train emoji-subgroup balgrad seed 1", "weights");
    let mut bytes = std::fs::read(&weights).unwrap();
    bytes[100] ^= 1;
    std::fs::remove_file(&weights).unwrap();
    std::fs::write(&weights, bytes).unwrap();
    let (_folder, second) = (tempfile::tempdir().unwrap(), Remote::at(object.with_extension("2").to_str().unwrap()));
    let output = second.ends(1, &other, &["push", "tiny"]);
    let told = told(&output);
    assert!(told.contains("`weights` of `train emoji-subgroup balgrad seed 1`: "), "{told}");
    assert!(told.contains(" is damaged in the store"), "{told}");
    let there = Store::open(Path::new(&second.url)).unwrap();
    assert!(there.action(key).is_none() && there.latest("none").is_none());
    assert!(there.action(record(&other, "train emoji-subgroup baseline seed 1").ingredients.key()).is_some());
}

/// Connections that are cut and servers that are busy delay a pull. What is wrong or absent is named and refused, and the
/// rest is taken over.
#[test]
fn a_pull_refuses_what_is_wrong() {
    let project = done();
    let (folder, remote) = pushed(&project);
    let wrong = path(&record(&project, "train emoji-subgroup balgrad seed 1"), "weights");
    let absent = path(&record(&project, "train emoji-subgroup baseline seed 1"), "weights");
    let key = record(&project, "evaluate emoji-subgroup balgrad seed 1 full").ingredients.key().to_string();
    let (bytes, gone, name) = (wrong.clone(), absent.clone(), key.clone());
    let server = Between::start(Behind::Folder(folder.path().to_owned()), move |_, path, times| match path {
        path if path.ends_with(&bytes) => Turn::WrongBytes,
        path if path.ends_with(&gone) => Turn::Status(404),
        path if path.contains(&name) => Turn::WrongBytes,
        path if path.contains("/objects/") && times == 0 => Turn::CutAfter(20),
        path if path.contains("/actions/") && times == 0 => Turn::Status(503),
        _ => Turn::Good,
    });
    let behind = Remote::at(&format!("{}/remote", server.url()));
    let other = without_archives();
    let output = behind.ends(1, &other, &["pull", "tiny"]);
    let told = told(&output);
    for (address, cause) in [
        (&wrong, "its content has the SHA-256"),
        (&absent, "it is not there"),
        (&format!("/actions/{}/{key}.json", &key[..2]), "it is not the record of this key"),
    ] {
        let line = told.lines().find(|line| line.contains(address.as_str()));
        assert!(line.is_some_and(|line| line.contains(&behind.url) && line.contains(cause)), "{address}: {told}");
    }
    let here = store(&other);
    for method in ["baseline", "balgrad"] {
        let action = record(&project, &format!("train emoji-subgroup {method} seed 1"));
        assert!(here.action(action.ingredients.key()).is_none() && !here.looks_whole(&action.outputs["weights"]));
    }
    assert_eq!(std::fs::read_dir(here.quarantine()).unwrap().count(), 0);
    // What depends on files was taken over all the same, what depends on the record that is wrong was not.
    assert!(here.latest("evaluate emoji-subgroup baseline seed 1 full").is_some(), "{told}");
    assert!(here.latest("collect table1").is_none(), "{told}");
    let rest = remote.json(0, &other, &["pull", "tiny"]);
    assert!(rest["pulled"].as_u64() >= Some(3) && rest["absent"] == 0, "{rest}");
    assert!(other.succeed(&["run", "tiny"]).starts_with("nothing to do"));
}

/// A run takes over what a remote store has. Where the remote store fails or is wrong, the run says so and computes.
#[test]
fn a_run_reads_through() {
    let project = done();
    let (folder, _) = pushed(&project);
    let server = Between::start(Behind::Folder(folder.path().to_owned()), |_, _, _| Turn::Good);
    let other = without_archives();
    let remote = Remote::at(&format!("{}/remote", server.url()));
    let output = remote.ends(0, &other, &["run", "tiny"]);
    assert!(told(&output).contains("nothing to do: all "), "{}", told(&output));
    assert!(other.results() == project.results());

    let forget = || {
        let store = store(&other);
        for (key, action) in store.census().unwrap().actions {
            if action.is_some_and(|action| action.label.starts_with("collect") || action.label.starts_with("render")) {
                store.forget(key).unwrap();
            }
        }
    };
    let warnings = |output: &Output| -> Vec<String> {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.lines().filter(|line| line.contains(": warning: ")).map(str::to_owned).collect()
    };
    // It does not answer, is no store, or answers with errors.
    let nobody = format!("http://127.0.0.1:{}/remote", server.port);
    let busy =
        Between::start(Behind::Folder(folder.path().to_owned()), |_, path, _| match path.contains("/actions/") {
            true => Turn::Status(500),
            false => Turn::Good,
        });
    for url in ["http://127.0.0.1:9/remote", &format!("{nobody}/elsewhere"), &format!("{}/remote", busy.url())] {
        forget();
        let output = Remote::at(url).ends(0, &other, &["run", "tiny"]);
        let warnings = warnings(&output);
        assert!(matches!(&warnings[..], [one] if one.contains("goes on without the remote store")), "{warnings:?}");
        assert!(other.results() == project.results());
    }
    // It has wrong bytes of the results.
    let object = path(&record(&project, "collect table1"), "results");
    std::fs::remove_file(other.object("collect table1", "results")).unwrap();
    forget();
    let bytes = object.clone();
    let liar =
        Between::start(Behind::Folder(folder.path().to_owned()), move |_, path, _| match path.ends_with(&bytes) {
            true => Turn::WrongBytes,
            false => Turn::Good,
        });
    let output = Remote::at(&format!("{}/remote", liar.url())).ends(0, &other, &["run", "tiny"]);
    let warnings = warnings(&output);
    assert!(!warnings.is_empty() && warnings.iter().all(|line| line.contains(&object)), "{}", told(&output));
    assert!(other.results() == project.results());
}

/// A method that is added after a pull needs samples, which were left out: they are made again, once.
#[test]
fn what_was_left_out_is_made_when_a_step_needs_it() {
    let (_folder, remote) = pushed(&done());
    let other = new_project();
    remote.ends(0, &other, &["pull", "tiny"]);
    other.write_suite(&suite().replace("[[methods]]\nname = \"balgrad\"", "[[methods]]\nname = \"mslr\""));
    let output = other.run(&["run", "tiny"]);
    assert!(output.status.success(), "{}", told(&output));
    let told = told(&output);
    assert!(told.contains("`prepare emoji-subgroup` is needed and is not in the store"), "{told}");
    assert!(!told.contains("damaged"), "{told}");
}

/// Ctrl-C ends a transfer at once, and what is there is kept.
#[test]
fn a_pull_can_be_interrupted() {
    let project = done();
    let (folder, remote) = pushed(&project);
    let weights = path(&record(&project, "train emoji-subgroup balgrad seed 1"), "weights");
    let stalled = weights.clone();
    let server =
        Between::start(Behind::Folder(folder.path().to_owned()), move |_, path, _| match path.ends_with(&stalled) {
            true => Turn::Stall,
            false => Turn::Good,
        });
    let other = without_archives();
    let behind = Remote::at(&format!("{}/remote", server.url()));
    let mut command = behind.command(&other, &["pull", "tiny"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while server.count("GET", &weights) == 0 {
        assert!(Instant::now() < end, "the file is asked for");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The others go on beside it.
    std::thread::sleep(Duration::from_secs(2));
    let asked = Instant::now();
    // SAFETY: the process is a child that was not waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", told(&output));
    assert!(asked.elapsed() < Duration::from_secs(5), "{}", told(&output));
    let rest = remote.json(0, &other, &["pull", "tiny"]);
    assert_eq!((&rest["pulled"], &rest["files"]), (&json!(1), &json!(1)), "{rest}");
}

/// Wrong addresses are wrong usage, and secrets in them are not shown.
#[test]
fn wrong_addresses_are_refused() {
    let project = new_project();
    for (url, command, says) in [
        ("ftp://reader:hunter2@example.org/a", "pull", "is of an unknown kind, `ftp`"),
        ("http://reader:hunter2@example.org/a", "run", "should begin with https://"),
        ("reader:hunter2@example.org", "push", "cannot be read"),
        ("s3:///hunter2", "pull", "names no bucket"),
        ("az://container/a", "pull", "cannot connect"),
        ("http://reader:hunter2@127.0.0.1:9/a", "push", "can only be read"),
        ("", "pull", "no remote store is named"),
    ] {
        let output = Remote::at(url).ends(2, &project, &[command, "tiny"]);
        let told = told(&output);
        assert!(told.contains(says) && !told.contains("reader"), "{url}: {told}");
    }
    // A server that does not answer, and a folder that is no store, are failures.
    for (url, says) in [
        ("http://reader:hunter2@127.0.0.1:9/a?sig=hunter2", "cannot read http://127.0.0.1:9/a/seesaw-store: "),
        (project.root.to_str().unwrap(), "is not a store"),
    ] {
        let told = told(&Remote::at(url).ends(1, &project, &["pull", "tiny"]));
        assert!(told.contains(says) && !told.contains("hunter2"), "{url}: {told}");
    }
}

/// A variable with a wrong address is refused by the commands that use it, and only by those.
#[test]
fn a_wrong_address_is_no_matter_to_those_who_do_not_use_it() {
    let project = new_project();
    for (arguments, code) in [
        (&["status"][..], 0),
        (&["plan", "tiny", "--no-estimate"], 0),
        (&["explain", "--suite", "tiny", "prepare emoji-subgroup"], 0),
        (&["store"], 0),
        (&["doctor"], 0),
        (&["run", "tiny"], 2),
        (&["fetch", "emoji"], 2),
        (&["push", "tiny"], 2),
        (&["submit", "tiny", "--dry-run"], 2),
    ] {
        let output = project.command(arguments).env("SEESAW_REMOTE", "ftp://example.org/a").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", told(&output));
        assert_eq!(
            code == 2,
            told(&output).contains("is of an unknown kind, `ftp`"),
            "{arguments:?}: {}",
            told(&output)
        );
    }
    assert!(!project.root.join(".seesaw").exists());
}

/// A user and a password are sent to the server.
#[test]
fn a_password_is_sent() {
    let server = crate::http_server::Server::start(b"seesaw store 1\n".to_vec(), Vec::new());
    let project = Project::new();
    let url = format!("http://reader:hunter%2F2@127.0.0.1:{}/a", server.port);
    // Every record is the mark, and so none is a record.
    Remote::at(&url).ends(1, &project, &["pull", "tiny"]);
    let sent = server.authorizations.lock().unwrap();
    assert!(!sent.is_empty() && sent.iter().all(|header| header == "Basic cmVhZGVyOmh1bnRlci8y"), "{sent:?}");
}

/// A server of `tests/remote-local`.
struct Server {
    folder: tempfile::TempDir,
    port: u16,
}

fn remote_local(arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/remote-local");
    Command::new(script).args(arguments).output().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        remote_local(&["stop", self.folder.path().to_str().unwrap()]);
    }
}

impl Server {
    /// None, with a word about it, if the server cannot be started here.
    fn start(kind: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let started = remote_local(&["start", kind, folder.path().to_str().unwrap()]);
        let port = String::from_utf8_lossy(&started.stdout).trim().parse();
        let server = Server { folder, port: port.unwrap_or_default() };
        if started.status.success() {
            return Some(server);
        }
        let required = std::env::var("SEESAW_REMOTE_SERVERS").is_ok_and(|value| value == "required");
        assert!(!required, "the server for {kind} does not start: {}", told(&started));
        eprintln!("SKIPPED: no server for {kind} can be started here, so it is NOT TESTED: {}", told(&started));
        None
    }
}

/// S3 through a server that is busy and cuts connections at first, and later denies writes.
#[test]
fn s3_carries_a_suite_to_another_machine() {
    let Some(server) = Server::start("s3") else { return };
    let s3 = |port: u16, path: &str| Remote {
        url: format!("s3://seesaw/{path}"),
        variables: vec![
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_ACCESS_KEY_ID", "reader".into()),
            ("AWS_SECRET_ACCESS_KEY", "hunter2".into()),
            ("AWS_REGION", "us-east-1".into()),
        ],
    };
    let shaky = Between::start(Behind::Server(server.port), |method, path, times| match (method, times) {
        ("PUT", 0) => Turn::Status(503),
        ("GET", 0) if path.contains("/objects/") => Turn::CutAfter(20),
        _ => Turn::Good,
    });
    round_trip(&s3(shaky.port, "a%20path/x"));

    // Halfway through, writes are denied: no record is there without its files, and the next push continues.
    let project = done();
    let denying = Between::start(Behind::Server(server.port), |method, path, _| match method {
        "PUT" if path.contains("/objects/") && path.split('/').nth_back(1) > Some("80") => Turn::Status(403),
        _ => Turn::Good,
    });
    let told = told(&s3(denying.port, "b").ends(1, &project, &["push", "tiny"]));
    assert!(told.contains("cannot write s3://seesaw/b/objects/") && told.contains("access is denied"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(denying.count("PUT", "/actions/"), 0);
    let denying = Between::start(Behind::Server(server.port), |_, path, _| match path.contains("partNumber=2") {
        true => Turn::Status(403),
        false => Turn::Good,
    });
    let told = crate::project::told(&s3(denying.port, "c").ends(1, &project, &["push", "tiny", "--with-data"]));
    assert!(told.contains("cannot write s3://seesaw/c/objects/"), "{told}");
    assert!(denying.count("DELETE", "uploadId=") > 0, "the parts of a large file stay");
    let whole = s3(server.port, "b");
    let pushed = whole.json(0, &project, &["push", "tiny"]);
    assert!(pushed["present"].as_u64() > Some(0), "{pushed}");
    assert_eq!(whole.json(0, &without_archives(), &["pull", "tiny"])["absent"], 0);

    let other = s3(server.port, "b/elsewhere");
    assert!(crate::project::told(&other.ends(1, &project, &["pull", "tiny"])).contains("is not a store"));
}

/// The XML interface of GCS, which is that of S3. Who may write is not tested: there is no token.
#[test]
fn gcs_carries_a_suite_to_another_machine() {
    let Some(server) = Server::start("s3") else { return };
    let between = Between::start(Behind::Server(server.port), |_, _, _| Turn::Good);
    let account = json!({
        "private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": true, "gcs_base_url": between.url()
    });
    round_trip(&Remote {
        url: "gs://seesaw/a/path".into(),
        variables: vec![("GOOGLE_SERVICE_ACCOUNT_KEY", account.to_string()), ("GOOGLE_ALLOW_HTTP", "true".into())],
    });
}

#[test]
fn azure_carries_a_suite_to_another_machine() {
    let Some(server) = Server::start("azure") else { return };
    round_trip(&Remote {
        url: "az://seesaw/a/path".into(),
        variables: vec![
            ("AZURE_STORAGE_USE_EMULATOR", "true".into()),
            ("AZURITE_BLOB_STORAGE_URL", format!("http://127.0.0.1:{}", server.port)),
        ],
    });
}
