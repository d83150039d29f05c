//! A store that several machines and people share, on filesystems that cannot do everything.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::project::{Project, told};
use crate::runs::computed;

/// The results of a run that nobody disturbed.
fn undisturbed() -> &'static BTreeMap<String, Vec<u8>> {
    static RESULTS: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    RESULTS.get_or_init(|| {
        let project = Project::new();
        project.succeed(&["run", "tiny"]);
        project.results()
    })
}

/// A run with lock files that are free after so many seconds, if it is the first one on the store.
fn with_leases(project: &Project, seconds: &str) -> Command {
    let mut command = project.command(&["run", "tiny", "-v"]);
    command.envs([("SEESAW_LOCKS", "lease"), ("SEESAW_LEASE", seconds)]);
    command
}

/// The system refuses these calls to the program with these errors, as a filesystem would.
fn refusing(command: &mut Command, calls: &[(libc::c_long, libc::c_int)]) {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let line = |code: u32, k: u32, jf: u8| libc::sock_filter { code: u16::try_from(code).unwrap(), jt: 0, jf, k };
    // The number of the call is the first that the filter sees.
    let mut filter = vec![line(LOAD, 0, 0)];
    for (call, error) in calls {
        filter.push(line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, u32::try_from(*call).unwrap(), 1));
        filter.push(line(RETURN, libc::SECCOMP_RET_ERRNO | u32::try_from(*error).unwrap(), 0));
    }
    filter.push(line(RETURN, libc::SECCOMP_RET_ALLOW, 0));
    let set = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: system calls that are allowed between fork and exec; the filter lives through them.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: as above.
    unsafe { command.pre_exec(set) };
}

/// Two runs with lock files compute each step once between them, and get what others get.
#[test]
fn two_runs_share_the_work_with_lock_files() {
    let project = Project::new();
    let run = || with_leases(&project, "20").output().unwrap();
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(run);
        (run(), other.join().unwrap())
    });
    assert!(first.status.success() && second.status.success(), "{} {}", told(&first), told(&second));
    let all: Vec<String> = [&first, &second].into_iter().flat_map(computed).collect();
    let once: BTreeSet<&String> = all.iter().collect();
    assert!(all.len() >= 20 && once.len() == all.len(), "a step was computed twice: {all:?}");
    assert!(project.results() == *undisturbed(), "some result has other bytes");
    let left = std::fs::read_dir(project.root.join(".seesaw/locks")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["kind"], "all lock files were removed");
    // All others use what the store uses, and who asks for another kind is told.
    assert!(project.succeed(&["doctor"]).contains("lock files that are renewed"));
    let other = project.command(&["prune"]).env("SEESAW_LOCKS", "flock").output().unwrap();
    assert!(told(&other).contains("uses `lease`, but SEESAW_LOCKS is `flock`"), "{}", told(&other));
    assert_eq!(other.status.code(), Some(2));
    let other = project.command(&["prune"]).env("SEESAW_LOCKS", "flok").output().unwrap();
    assert!(told(&other).contains("did you mean `flock`?"), "{}", told(&other));
}

/// A run that is stopped while it holds a lock and works, with locks that are free after four seconds.
fn stopped(project: &Project) -> Child {
    let said = std::fs::File::create(project.root.join("said")).unwrap();
    let mut child = with_leases(project, "4").stdout(Stdio::null()).stderr(said).spawn().unwrap();
    let began = Instant::now();
    while !(holds(project, "locks", |name| name.len() == 64) && holds(project, "tmp", |name| name.starts_with("work-")))
    {
        assert!(began.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "it does not begin");
        signal(&child, libc::SIGCONT);
        std::thread::sleep(Duration::from_millis(2));
        signal(&child, libc::SIGSTOP);
    }
    child
}

fn signal(child: &Child, signal: libc::c_int) {
    // SAFETY: a system call; the process is a child that nobody has waited for.
    assert_eq!(unsafe { libc::kill(child.id().cast_signed(), signal) }, 0);
}

/// Whether there is such a name in a folder of the store.
fn holds(project: &Project, folder: &str, is: impl Fn(&str) -> bool) -> bool {
    let entries = std::fs::read_dir(project.root.join(".seesaw").join(folder)).into_iter().flatten();
    entries.filter_map(Result::ok).any(|entry| is(&entry.file_name().to_string_lossy()))
}

/// The locks of a killed run are free after a while, and what it was about to do is done and swept.
#[test]
fn lock_files_of_a_killed_run_expire() {
    let project = Project::new();
    let mut killed = stopped(&project);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let next = with_leases(&project, "4").output().unwrap();
    assert!(next.status.success(), "{}", told(&next));
    assert!(told(&next).contains("waiting for another run"), "{}", told(&next));
    assert!(project.results() == *undisturbed(), "some result has other bytes");
    // The lock of its work folder may be a little younger than the one that the next run waited for, and not yet say how long it
    // lives, if the run was stopped while it wrote it.
    let swept = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        project.command(&["prune"]).env("SEESAW_LEASE", "4").output().unwrap().status.success()
    });
    assert!(swept, "the store is in use, but nobody uses it");
    assert!(!holds(&project, "locks", |name| name != "kind") && !holds(&project, "tmp", |_| true), "it is swept");
}

/// A run that was stopped for longer than its locks live finds out that another took them, and spoils nothing.
#[test]
fn a_run_finds_out_that_it_lost_a_lock() {
    let project = Project::new();
    let mut slept = stopped(&project);
    let next = with_leases(&project, "4").output().unwrap();
    assert!(next.status.success(), "{}", told(&next));
    signal(&slept, libc::SIGCONT);
    let ended = slept.wait().unwrap();
    let said = std::fs::read_to_string(project.root.join("said")).unwrap();
    // It may have been about to record what it had, which is the same.
    let is_told = ended.code() == Some(1) && said.contains("another process took it");
    assert!(is_told || ended.success(), "{ended}: {said}");
    project.succeed(&["store", "verify"]);
    assert!(project.succeed(&["run", "tiny"]).starts_with("nothing to do"));
    assert!(project.results() == *undisturbed(), "some result has other bytes");
}

/// Where the filesystem has no `flock` and syncs nothing, a run says so once and ends the same.
#[test]
fn a_filesystem_without_flock_and_fsync() {
    let project = Project::new();
    let run = |error| {
        let mut command = project.command(&["run", "tiny"]);
        refusing(&mut command, &[(libc::SYS_flock, error), (libc::SYS_fsync, libc::EINVAL)]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    };
    let warned = |words: &str| words.matches("uses lock files that are renewed").count();
    assert_eq!(warned(&run(libc::EOPNOTSUPP)), 1);
    assert!(project.results() == *undisturbed(), "some result has other bytes");
    assert_eq!(warned(&run(libc::ENOLCK)), 0);
}

/// Sets the permissions of a folder and all in it.
fn set_all(folder: &Path, folders: u32, files: u32) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            set_all(&entry, folders, files);
        } else {
            std::fs::set_permissions(&entry, PermissionsExt::from_mode(files)).unwrap();
        }
    }
    std::fs::set_permissions(folder, PermissionsExt::from_mode(folders)).unwrap();
}

/// Runs a command that permissions hold back, whoever runs the tests.
fn held_back(mut command: Command) -> Output {
    let drop_privilege = || {
        const OVERRIDE: libc::c_ulong = 1;
        // SAFETY: a system call that is allowed between fork and exec. Who may not drop it has none.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, OVERRIDE, 0, 0, 0) };
        Ok(())
    };
    // SAFETY: as above.
    unsafe { command.pre_exec(drop_privilege) };
    command.output().unwrap()
}

/// Who may only read the store of another sees what is in it, in a project of their own, and takes it over into a store of
/// their own.
#[test]
fn a_store_that_may_only_be_read() {
    let (owner, reader) = (Project::new(), Project::new());
    owner.succeed(&["run", "tiny"]);
    let store = owner.root.join(".seesaw");
    set_all(&store, 0o555, 0o444);
    let read = |arguments: &[&str]| {
        let mut command = reader.command(arguments);
        command.env("SEESAW_STORE", &store);
        held_back(command)
    };
    let cell = "train emoji-subgroup balgrad seed 1";
    let commands: [&[&str]; 10] = [
        &["status", "tiny"],
        &["plan", "tiny"],
        &["explain", cell, "--suite", "tiny"],
        &["trace", "emoji-subgroup", "balgrad", "1", "--suite", "tiny"],
        &["table", "1", "--suite", "tiny"],
        &["figure", "4", "--suite", "tiny"],
        &["data", "show", "emoji-subgroup"],
        &["fetch", "emoji"],
        &["store", "verify"],
        &["prune", "--dry-run"],
    ];
    for arguments in commands {
        let output = read(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    }
    let refused = read(&["run", "tiny", "--seeds", "3"]);
    assert_eq!(refused.status.code(), Some(1), "{}", told(&refused));
    assert!(
        told(&refused).contains("Permission denied") && told(&refused).contains("name another folder for the store")
    );
    let taken = read(&["run", "tiny", "--store", "mine", "--remote", store.to_str().unwrap(), "-v"]);
    set_all(&store, 0o755, 0o644);
    assert!(taken.status.success() && computed(&taken).is_empty(), "{}", told(&taken));
    assert!(reader.results() == owner.results(), "some result has other bytes");
}
