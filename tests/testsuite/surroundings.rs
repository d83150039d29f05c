//! Machines that are not as the program would like them: whole commands with odd variables, limits and networks.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

use crate::fetch::Nobody;
use crate::project::{Project, told};

fn with(project: &Project, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    project.command(arguments).envs(variables.iter().copied()).output().unwrap()
}

/// The first archive of this manifest is on a server that nobody can reach.
fn on_a_server(project: &Project, manifest: &str) {
    let path = project.root.join(format!("data-manifests/{manifest}.json"));
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["archives"][0]["sources"] =
        serde_json::json!([{ "type": "https", "urls": ["https://unreachable.invalid/file"] }]);
    std::fs::write(path, manifest.to_string()).unwrap();
}

/// Sets what `ulimit -f` sets, in bytes.
fn limited(command: &mut Command, most: u64) -> &mut Command {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: setrlimit may be called between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_FSIZE, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        })
    }
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// A disk on which only small files have room: a download fails with its path, and a run that cannot collect its results
/// says so. It is a failure, not a mistake in the command line.
#[test]
fn a_full_disk_is_named() {
    let project = Project::new();
    let output = limited(&mut project.command(&["fetch", "emoji"]), 10_000).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("File too large") && told(&output).contains("cannot write "), "{}", told(&output));
    project.succeed(&["run", "tiny"]);
    let collected = project.object("collect results", "results");
    let most = std::fs::metadata(&collected).unwrap().len() - 1;
    let is_collecting = |path: &std::path::Path| std::fs::read_to_string(path).unwrap().contains("\"collect ");
    for record in files_below(&project.root.join(".seesaw/actions")) {
        if is_collecting(&record) {
            std::fs::remove_file(record).unwrap();
        }
    }
    let output = limited(&mut project.command(&["run", "tiny"]), most).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("could not be collected"), "{}", told(&output));
}

/// A poor terminal, and a person who wants no colours.
#[test]
fn colours_are_left_out_when_they_are_not_wanted() {
    let project = Project::new();
    for variables in [&[("NO_COLOR", "1")][..], &[("TERM", "dumb")], &[("NO_COLOR", ""), ("TERM", "dumb")]] {
        for arguments in [&["-v", "plan", "tiny"][..], &["run", "tinny"]] {
            let output = with(&project, arguments, variables);
            assert!(
                !output.stderr.contains(&0x1b) && !output.stdout.contains(&0x1b),
                "{variables:?}: {}",
                told(&output)
            );
        }
    }
}

/// What failed on the way to a server is named with its setting, without the password in it.
#[test]
fn proxies_and_certificates_are_named() {
    let project = Project::new();
    on_a_server(&project, "emoji");
    let said = |variables: &[(&str, &str)]| {
        let output = with(&project, &["fetch", "emoji"], variables);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        told(&output)
    };
    let proxy = ("HTTPS_PROXY", "http://reader:hunter2@127.0.0.1:9");
    let text = said(&[proxy]);
    assert!(text.contains("HTTPS_PROXY") && text.contains("127.0.0.1:9") && !text.contains("hunter2"), "{text}");
    let nowhere = [("SSL_CERT_FILE", "/nowhere/certificates.pem"), ("SSL_CERT_DIR", "/nowhere")];
    let text = said(&nowhere);
    assert!(text.contains("SSL_CERT_FILE") && text.contains("certificates"), "{text}");
    // The doctor finds both beforehand, and what is in the place of a file.
    std::fs::remove_file(project.root.join("downloads/efficientnet_lite0.zip")).ok();
    let output = with(&project, &["doctor"], &[proxy]);
    let text = told(&output);
    assert!(text.contains("the proxy http://127.0.0.1:9 of HTTPS_PROXY does not answer"), "{text}");
    assert!(told(&with(&project, &["doctor"], &nowhere)).contains("SSL_CERT_FILE"));
}

/// Without a network, one download finds out, and each archive has a line; what to do is told once.
#[test]
fn a_missing_network_is_told_once() {
    let (project, nobody) = (Project::new(), Nobody::new());
    let archives = |name: &str| {
        let path = project.root.join(format!("data-manifests/{name}.json"));
        let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let archives = manifest["archives"].as_array_mut().unwrap();
        archives.iter_mut().for_each(|archive| {
            archive["sources"] = serde_json::json!([{ "type": "https", "urls": [nobody.url()] }]);
        });
        let names: Vec<String> = archives.iter().map(|archive| archive["name"].as_str().unwrap().to_owned()).collect();
        std::fs::write(path, manifest.to_string()).unwrap();
        names
    };
    let names: Vec<String> =
        ["emoji", "all-minilm-l6-v2", "efficientnet-lite0"].into_iter().flat_map(archives).collect();
    let output = project.run(&["run", "tiny"]);
    assert_eq!((output.status.code(), nobody.tries()), (Some(1), 3), "{}", told(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in &names {
        let line = format!("error: cannot fetch {name}: no connection to {}", nobody.address);
        assert_eq!(said.lines().filter(|other| other.starts_with(&line)).count(), 1, "{name}: {said}");
    }
    assert_eq!(
        said.matches("hint: check the network, then run the same command again to resume\n").count(),
        1,
        "{said}"
    );
    assert!(said.contains("not run: 28 steps, which need what failed or is unavailable\n"), "{said}");
    assert!(said.lines().count() < names.len() + 8, "{said}");
    // Results have the cause that they have on any machine.
    let results = String::from_utf8(project.results()["results.json"].clone()).unwrap();
    assert!(results.contains("it could not be downloaded") && !results.contains("no connection"), "{results}");
}

/// Whatever lies in the library path, the program starts with the libtorch that it was built with.
#[test]
fn another_libtorch_in_the_library_path_is_passed_over() {
    let project = Project::new();
    let folder = project.root.join("libraries");
    std::fs::create_dir(&folder).unwrap();
    for name in ["libtorch_cpu.so", "libc10.so"] {
        std::fs::write(folder.join(name), b"not a library").unwrap();
    }
    let output = with(&project, &["doctor", "--json"], &[("LD_LIBRARY_PATH", folder.to_str().unwrap())]);
    assert!(output.status.success(), "{}", told(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(found["libtorch"]["folder"], folder.to_str().unwrap());
}

/// Commands that need no tensors do not load libtorch, whose loading takes longer than most answers. Those that need them
/// preload it, and what they start has no other libraries than the user said.
#[cfg(target_os = "linux")]
#[test]
fn only_commands_that_need_tensors_load_libtorch() {
    let project = Project::new();
    // The library that the loader initialises: libtorch has hundreds of megabytes, the empty one that stands for it two.
    let sizes = |args: &[&str]| -> Vec<u64> {
        let output = with(&project, args, &[("LD_DEBUG", "libs")]);
        assert!(output.status.success(), "{}", told(&output));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let paths = said.lines().filter_map(|line| line.split_once("calling init: ")).map(|(_, path)| path);
        let libtorch = paths.filter(|path| path.ends_with("/libtorch_cpu.so"));
        libtorch.map(|path| std::fs::metadata(path).unwrap().len()).collect()
    };
    let found = sizes(&["methods"]);
    assert!(found.len() == 1 && found[0] < 10_000_000, "{found:?}");
    let tools = project.root.join("tools");
    std::fs::create_dir(&tools).unwrap();
    let tool = tools.join("nvidia-smi");
    std::fs::write(
        &tool,
        "#!/bin/sh\necho \"$LD_PRELOAD$MALLOC_ARENA_MAX$MIMALLOC_PURGE_DELAY\" >>\"${0%/*}/preloaded\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    for mine in ["", "libm.so.6"] {
        let output = with(&project, &["doctor", "--json"], &[("PATH", &path), ("LD_PRELOAD", mine)]);
        assert!(output.status.success(), "{}", told(&output));
        let preloaded = std::fs::read_to_string(tools.join("preloaded")).unwrap();
        assert_eq!(preloaded.lines().last(), Some(mine));
    }
}
