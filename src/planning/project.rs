//! Finds the project, its store and the device, and plans its suites.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::engine::Engine;
use crate::engine::devices::Devices;
use crate::engine::graph::Graph;
use crate::engine::key::Environment;
use crate::engine::remote::ReadThrough;
use crate::engine::reuse::Reuse;
use crate::engine::slurm::script::quoted;
use crate::errors;
use crate::experiments::{Seeds, Suite};
use crate::interrupt::Interrupt;
use crate::manifests::context::FetchPlaces;
use crate::manifests::{self, Manifest, mirror};
use crate::network::Address;
use crate::planning::plan;
use crate::report::render;
use crate::report::templates::Templates;
use crate::store::{Place, Store};

/// Options of every subcommand: where the project is, and how its suites run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// The project's folder, which has `experiments/` and `data-manifests/` [default: search upwards from here]
    #[arg(long, global = true, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// The store's folder [default: `.seesaw` in the project]
    // A path may not be empty, but a variable may be.
    #[arg(long, global = true, value_name = "DIR", env = "SEESAW_STORE",
        value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub store: Option<PathBuf>,
    /// The remote store of `push` and `pull`, from which runs take results before they compute them: s3://, gs://, az://,
    /// https:// or a folder
    #[arg(long, global = true, value_name = "URL", env = "SEESAW_REMOTE", hide_env_values = true)]
    pub remote: Option<Place>,
    /// The devices to compute on: auto, cpu, cuda (all GPUs), or a list such as cuda:0,cuda:2
    #[arg(long, global = true, default_value = "auto")]
    pub device: String,
    /// Number of cores to use; does not change results [default: all]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Fetch archives from this mirror, by its own manifests; results are labelled as a trial
    #[arg(long, global = true, value_name = "URL")]
    pub mirror: Option<Address>,
    /// Use only N samples of each split, drawn by class; results are labelled as a trial
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub subset: Option<u32>,
    /// Train with other seeds than the suite's: 1 to N, or a list such as 1,2,7
    #[arg(long, global = true, value_name = "N|LIST", value_parser = crate::experiments::seeds)]
    pub seeds: Option<Seeds>,
    /// Which results of steps on tensors count as done: processors of other kinds give other last bits
    #[arg(long, global = true, value_name = "WHICH", value_enum, default_value = "any")]
    pub reuse: Reuse,
    /// Use the templates in this folder instead of the project's templates of the same names
    #[arg(long, global = true, value_name = "DIR")]
    pub templates: Option<PathBuf>,
}

impl Options {
    /// The store that the user named.
    pub fn named_store(&self) -> Option<&PathBuf> {
        self.store.as_ref().filter(|store| !store.as_os_str().is_empty())
    }

    /// The remote store that the user named.
    pub fn named_remote(&self) -> Option<&Place> {
        self.remote.as_ref().filter(|place| !place.is_empty())
    }
}

/// A suite and its plan.
pub struct Planned {
    pub suite: Suite,
    pub manifests: Vec<Manifest>,
    pub graph: Graph,
    /// The folder of its results; trials have their own.
    pub out: PathBuf,
}

/// A project: a folder with `experiments/`, `data-manifests/` and `templates/`.
#[derive(Clone, Debug)]
pub struct Project {
    pub root: PathBuf,
    pub options: Options,
}

impl Project {
    /// The folder that the user named, or the nearest one that looks like a project, from the current folder up.
    ///
    /// # Errors
    /// A usage error if there is none.
    pub fn find(options: &Options) -> anyhow::Result<Self> {
        let looks_right = |folder: &Path| folder.join("experiments").is_dir() && folder.join("data-manifests").is_dir();
        if let Some(root) = &options.project {
            if looks_right(root) {
                return Ok(Project { root: root.clone(), options: options.clone() });
            }
            return Err(errors::usage(
                format!("{} holds no `experiments/` and `data-manifests/`", root.display()),
                "name the folder of a Seesaw checkout with --project",
            ));
        }
        let here = std::env::current_dir().context("cannot find the current folder")?;
        match here.ancestors().find(|folder| looks_right(folder)) {
            Some(root) => Ok(Project { root: root.to_owned(), options: options.clone() }),
            None => Err(errors::usage(
                format!("neither {} nor a folder above it holds `experiments/` and `data-manifests/`", here.display()),
                "run seesaw inside a checkout, or name a checkout with --project",
            )),
        }
    }

    pub fn experiments(&self) -> PathBuf {
        self.root.join("experiments")
    }

    pub fn manifests(&self) -> PathBuf {
        self.root.join("data-manifests")
    }

    /// The names of all suites.
    ///
    /// # Errors
    /// If `experiments/` cannot be listed.
    pub fn suites(&self) -> anyhow::Result<Vec<String>> {
        Suite::names(&self.experiments())
    }

    /// Checks that there is a suite of this name.
    ///
    /// # Errors
    /// A usage error with the nearest name.
    pub fn check_suite(&self, suite: &str) -> anyhow::Result<()> {
        Suite::load(&self.experiments(), suite).map(drop)
    }

    /// The user's folder of templates, if there is one, and then the project's.
    pub fn templates(&self) -> Templates {
        Templates(self.options.templates.iter().cloned().chain([self.root.join("templates")]).collect())
    }

    /// The manifests with their lock files, or with those of the mirror.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn load_manifests(&self, interrupt: &Interrupt) -> anyhow::Result<Vec<Manifest>> {
        let mut manifests = manifests::load_all(&self.manifests())?;
        if let Some(mirror) = &self.options.mirror {
            mirror::overlay(&mut manifests, mirror, interrupt)?;
        }
        Ok(manifests)
    }

    /// Loads a suite and plans it.
    ///
    /// # Errors
    /// If the suite, or a manifest or template that it needs, is not there or malformed.
    pub fn planned(&self, suite: &str, interrupt: &Interrupt) -> anyhow::Result<Planned> {
        let suite = Suite::load(&self.experiments(), suite)?;
        let suite =
            suite.on_trial(self.options.subset, self.options.mirror.is_some()).with_seeds(self.options.seeds.as_ref());
        suite.check_size().map_err(|error| errors::usage(format!("{error:#}"), "choose fewer seeds with --seeds"))?;
        if let Some(folder) = self.options.templates.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(errors::usage(
                format!("there is no folder of templates {}", folder.display()),
                "name a folder with files such as table.tex.j2; templates/README.md lists the templates",
            ));
        }
        if let Some(folder) = &self.options.templates {
            self.check_templates(folder)?;
        }
        let manifests = self.load_manifests(interrupt)?;
        let graph = plan::build(&suite, &manifests, &self.templates())?;
        let out = self.out(&suite.name);
        Ok(Planned { suite, manifests, graph, out })
    }

    /// Checks that each template in the user's folder replaces one of the project.
    ///
    /// # Errors
    /// A usage error that names a template that does not, with the nearest name.
    fn check_templates(&self, folder: &Path) -> anyhow::Result<()> {
        let names = |folder: &Path| -> anyhow::Result<Vec<String>> {
            let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
            let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            Ok(names.filter(|name| name.ends_with(".j2")).collect())
        };
        let known: Vec<String> =
            names(&self.root.join("templates"))?.into_iter().chain(render::own_templates()).collect();
        match names(folder)?.into_iter().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => {
                let near = errors::nearest(&name, known.iter().map(String::as_str));
                let hint = near.map_or_else(
                    || "templates/README.md lists the templates".to_owned(),
                    |near| format!("did you mean `{near}`? templates/README.md lists the templates"),
                );
                Err(errors::usage(format!("{} replaces no template", folder.join(name).display()), hint))
            }
        }
    }

    /// The folder of a suite's results. Trials and other seeds have folders of their own.
    pub fn out(&self, suite: &str) -> PathBuf {
        let mirrored = if self.options.mirror.is_some() { ".mirror" } else { "" };
        let reduced = self.options.subset.map_or_else(String::new, |subset| format!(".subset-{subset}"));
        let seeded = self.options.seeds.as_ref().map_or_else(String::new, |seeds| format!(".seeds-{seeds}"));
        self.root.join("out").join(format!("{suite}{mirrored}{reduced}{seeded}"))
    }

    /// A command on a suite as the options plan it, for hints. Templates change files in `out/`, so it names their folder too.
    pub fn command(&self, verb: &str, suite: &Suite) -> String {
        let templates = self.options.templates.as_ref().map(|folder| quoted(&folder.display().to_string()));
        suite.command(verb) + &templates.map_or_else(String::new, |folder| format!(" --templates {folder}"))
    }

    /// The store's folder: `--store`, `SEESAW_STORE`, or `.seesaw` in the project.
    pub fn store_path(&self) -> PathBuf {
        self.options.named_store().cloned().unwrap_or_else(|| self.root.join(".seesaw"))
    }

    /// Checks that the store that the user named is there, for commands that do nothing without one.
    ///
    /// # Errors
    /// A usage error if it is not.
    pub fn check_store(&self, store: &Store) -> anyhow::Result<()> {
        match self.options.named_store() {
            Some(_) if !store.exists() => Err(errors::usage(
                format!("there is no store in {}", store.root().display()),
                "check the folder that --store or SEESAW_STORE names",
            )),
            _ => Ok(()),
        }
    }

    /// The folders where a person may have put files.
    fn manual_folders(&self) -> Vec<PathBuf> {
        vec![self.root.join("downloads"), self.root.clone()]
    }

    /// What would keep downloads from working, as far as it can be seen before: an error with a hint for each problem. With a
    /// mirror, only the manifests of the project are looked at.
    ///
    /// # Errors
    /// If a manifest cannot be read.
    pub fn problems_of_downloads(&self) -> anyhow::Result<Vec<anyhow::Error>> {
        let manifests = manifests::load_all(&self.manifests())?;
        Ok(manifests::outlook::problems(&manifests, &self.manual_folders()))
    }

    /// The archives of all manifests that are not in the store and cannot be fetched, each with what the user has to do: what
    /// the plans of suites list of theirs.
    ///
    /// # Errors
    /// If a manifest cannot be read, or the store cannot be opened.
    pub fn unavailable(&self) -> anyhow::Result<Vec<(String, String)>> {
        let engine = self.engine(Devices::CPU, Interrupt::default())?;
        let (graph, _) = plan::fetches(&self.load_manifests(&engine.interrupt)?);
        Ok(engine.unavailable(&graph))
    }

    /// Opens the store, and sets the number of threads and the places of downloads.
    ///
    /// # Errors
    /// If the store cannot be opened, or the address of the remote store is wrong.
    pub fn engine(&self, devices: Devices, interrupt: Interrupt) -> anyhow::Result<Engine> {
        let store = Store::open(&self.store_path())?;
        let downloads = FetchPlaces {
            mirror: self.options.mirror.clone(),
            ..FetchPlaces::new(store.partial(), store.quarantine(), self.manual_folders())
        };
        let threads = self.options.threads.map_or_else(available_cores, usize::from);
        let remote = self.options.named_remote();
        remote.map_or(Ok(()), Place::check)?;
        let (environment, remote) = (Environment::here(&devices), remote.cloned().map(ReadThrough::new));
        let reuse = self.options.reuse;
        Ok(Engine { store, devices, environment, threads, downloads, remote, reuse, interrupt })
    }
}

/// The number of cores of this machine that the process may use.
pub fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether libtorch was built with CUDA.
pub const BUILT_WITH_CUDA: bool = matches!(env!("SEESAW_LIBTORCH_CUDA").as_bytes(), b"yes");

/// The devices of an option, if they can be known without loading libtorch.
///
/// # Errors
/// A usage error if a word is unknown, or asks for CUDA in a build without it.
pub fn devices_without_libtorch(words: &str) -> anyhow::Result<Option<Devices>> {
    match words {
        "cpu" => Ok(Some(Devices::CPU)),
        "auto" => Ok((!BUILT_WITH_CUDA).then_some(Devices::CPU)),
        "cuda" => Ok(None),
        words => gpus(words).map(|_| None),
    }
    .and_then(|known| match known {
        None if !BUILT_WITH_CUDA => Err(errors::usage(
            format!("the device `{words}` is unavailable: this libtorch was built without CUDA"),
            "run `TORCH=cuda make` to build with CUDA, or use `--device cpu`",
        )),
        known => Ok(known),
    })
}

/// The devices of an option.
///
/// # Errors
/// A usage error if a word is unknown, or there is no such GPU.
pub fn devices(words: &str) -> anyhow::Result<Devices> {
    if let Some(devices) = devices_without_libtorch(words)? {
        return Ok(devices);
    }
    let there = if tch::Cuda::is_available() { tch::Cuda::device_count() } else { 0 };
    chosen(words, usize::try_from(there).unwrap_or_default())
}

/// The devices of an option, where CUDA shows so many GPUs.
fn chosen(words: &str, there: usize) -> anyhow::Result<Devices> {
    let wanted = match words {
        "auto" => return Ok(Devices::gpus(0..there).unwrap_or(Devices::CPU)),
        "cuda" => (0..there).collect(),
        words => gpus(words)?,
    };
    let unavailable = |message: String, remedy| Err(errors::usage(message, remedy));
    match wanted.iter().copied().find(|index| *index >= there) {
        Some(index) if there > 0 => {
            unavailable(format!("the device `cuda:{index}` is unavailable: there is no GPU with this index"), DOCTOR)
        }
        None if let Some(devices) = Devices::gpus(wanted) => Ok(devices),
        _ => unavailable(format!("the device `{words}` is unavailable: libtorch finds no GPU"), NVIDIA_SMI),
    }
}

const DOCTOR: &str = "`seesaw doctor` lists the devices";
const NVIDIA_SMI: &str = "check that `nvidia-smi` lists one, or use `--device cpu`";

/// The indices of the GPUs that a list such as `cuda:0,cuda:2` names.
fn gpus(words: &str) -> anyhow::Result<Vec<usize>> {
    let mut indices = Vec::new();
    for word in words.split(',') {
        match word.strip_prefix("cuda:").and_then(|index| index.parse().ok()) {
            Some(index) if indices.contains(&index) => {
                return Err(errors::usage(
                    format!("the device `{word}` is listed twice"),
                    "list each device once, as in `cuda:0,cuda:2`",
                ));
            }
            Some(index) => indices.push(index),
            None => {
                let message = format!("unknown device `{word}`");
                let known = ["auto", "cpu", "cuda", "cuda:N", "cuda:N,cuda:M"];
                return match word.starts_with("gpu") {
                    // It is nearer to `cpu` by its letters alone.
                    true => Err(errors::usage(message, format!("did you mean `cuda`? Known: {}", known.join(", ")))),
                    false => Err(errors::unknown(message, word, known)),
                };
            }
        }
    }
    Ok(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_parsed() {
        assert_eq!(devices("cpu").unwrap(), Devices::CPU);
        for words in ["gpu", "cuda:", "cuda:-1", "", "cuda:0,", "cuda,cpu", "cuda:x", "cuda:1,cpu"] {
            let error = devices(words).unwrap_err();
            assert_eq!(errors::class_of(&error), errors::Class::Usage);
            assert!(error.to_string().contains("unknown device"), "{error}");
        }
        if !BUILT_WITH_CUDA {
            let error = devices("cuda").unwrap_err();
            assert!(error.to_string().contains("built without CUDA"), "{error}");
        }
    }

    #[test]
    fn gpus_are_chosen() {
        let gpus = |indices: &[usize]| Devices::gpus(indices.iter().copied()).unwrap();
        for (words, there, expected) in [
            ("auto", 0, Devices::CPU),
            ("auto", 2, gpus(&[0, 1])),
            ("cuda", 3, gpus(&[0, 1, 2])),
            ("cuda:1", 2, gpus(&[1])),
            ("cuda:2,cuda:0", 3, gpus(&[2, 0])),
        ] {
            assert_eq!(chosen(words, there).unwrap(), expected, "{words} of {there}");
        }
        for (words, there, expected) in [
            ("cuda", 0, "`cuda` is unavailable: libtorch finds no GPU"),
            ("cuda:1", 0, "`cuda:1` is unavailable: libtorch finds no GPU"),
            ("cuda:0,cuda:2", 2, "`cuda:2` is unavailable: there is no GPU with this index"),
            ("cuda:1,cuda:1", 2, "`cuda:1` is listed twice"),
        ] {
            let error = chosen(words, there).unwrap_err();
            assert_eq!(errors::class_of(&error), errors::Class::Usage);
            assert!(error.to_string().contains(expected), "{words} of {there}: {error}");
        }
    }
}
