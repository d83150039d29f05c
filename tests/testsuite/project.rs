//! A project in a temporary folder, with a suite small enough to run many times, and the program to run in it.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use seesaw::testing;

/// One dataset, tiny pictures, few epochs: a cold run takes a few seconds.
pub const SUITE: &str = r#"
version = 1
kind = "smoke"
title = "Tiny"
seeds = [1, 2]

[encoders.tiny]
image = { name = "efficientnet-lite0", size = 32 }
text = { name = "all-minilm-l6-v2", max-length = 8 }

[training]
embedding = 32
epochs = 2
optimizer = { name = "adam", learning-rate = 1e-3 }

[[datasets]]
name = "emoji-subgroup"
encoders = "tiny"

[[methods]]
name = "baseline"

[[methods]]
name = "balgrad"

[impairments.missing]
ratios = [0.0, 0.5, 1.0]

[impairments.noisy]
image = { kind = "gaussian", sigma = 0.5 }
text = { kind = "delete-characters", probability = 0.2 }

[[outputs]]
target = "table1"

[[outputs]]
target = "figure4"
"#;

/// Files that tell when and how fast steps ran: they are not the same after another run.
const TELL_TIMES: [&str; 3] = ["report.html", "provenance.json", "ro-crate-metadata.json"];

pub struct Project {
    _folder: tempfile::TempDir,
    pub root: PathBuf,
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

impl Project {
    /// The real templates; the real manifests, but for their sources: the archives lie in `downloads/`, as if a person
    /// had put them there.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&repository.join("templates"), &root.join("templates"));
        copy(&repository.join("data-manifests"), &root.join("data-manifests"));
        std::fs::create_dir_all(root.join("experiments")).unwrap();
        // What the paper prints belongs to every project, as templates do.
        let reference = "experiments/reference.json";
        std::fs::copy(repository.join(reference), root.join(reference)).unwrap();
        std::fs::create_dir_all(root.join("downloads")).unwrap();
        for name in ["emoji", "all-minilm-l6-v2", "efficientnet-lite0"] {
            let path = root.join(format!("data-manifests/{name}.json"));
            let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            for archive in manifest["archives"].as_array_mut().unwrap() {
                let file = archive["name"].as_str().unwrap().to_owned();
                let here = root.join("downloads").join(&file);
                std::os::unix::fs::symlink(testing::archive(&file), here).unwrap();
                archive["sources"] = serde_json::json!([
                    { "type": "manual", "accept": "Accept the terms", "url": "https://example.org", "file": file }
                ]);
            }
            std::fs::write(path, manifest.to_string()).unwrap();
        }
        let project = Project { _folder: folder, root };
        project.write_suite(SUITE);
        project
    }

    pub fn write_suite(&self, text: &str) {
        std::fs::write(self.root.join("experiments/tiny.toml"), text).unwrap();
    }

    /// The program, in this project.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.current_dir(&self.root).args(arguments);
        // Who starts the tests in the background has them ignore Ctrl-C, and the program goes by that.
        // SAFETY: a system call that is allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                Ok(())
            })
        };
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs and expects success; standard output.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Every file under `out/tiny`, by name.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        std::fs::read_dir(self.root.join("out/tiny"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
            .collect()
    }

    /// Asserts that no file tells where the project, its source, or the home of its owner lies.
    pub fn assert_no_path_in(&self, files: &BTreeMap<String, Vec<u8>>) {
        let root = self.root.canonicalize().unwrap().display().to_string();
        let home = std::env::var("HOME").ok().filter(|home| home.len() > 1).map(|home| format!("{home}/"));
        let paths = [root, self.root.display().to_string(), env!("CARGO_MANIFEST_DIR").to_owned()];
        for (name, bytes) in files {
            for path in paths.iter().chain(&home) {
                let found = bytes.windows(path.len()).any(|window| window == path.as_bytes());
                assert!(!found, "{name} tells {path}");
            }
        }
    }

    /// Where an output of the step that was done last under this label lies in the store.
    pub fn object(&self, label: &str, output: &str) -> PathBuf {
        let store = seesaw::store::Store::open(&self.root.join(".seesaw")).unwrap();
        store.object_path(store.latest(label).unwrap().outputs[output].sha256)
    }

    /// Those files that are the same after any run of the same.
    pub fn results(&self) -> std::collections::BTreeMap<String, Vec<u8>> {
        let mut files = self.files();
        files.retain(|name, _| !TELL_TIMES.contains(&name.as_str()));
        files
    }
}

/// Everything that a run said.
pub fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\nstdout: {}\nstderr: {}", output.status, text(&output.stdout), text(&output.stderr))
}

/// The program, told nothing by the variables of who runs the tests but where things are: many others change what it says or
/// does.
pub fn program() -> Command {
    const WHERE: [&str; 8] =
        ["PATH", "HOME", "USER", "LANG", "TMPDIR", "LIBTORCH", "LD_LIBRARY_PATH", "RUST_BACKTRACE"];
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("seesaw"));
    command.env_clear().envs(WHERE.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}
