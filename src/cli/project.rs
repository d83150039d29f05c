//! Where things lie: the project, the store, the device.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Global;
use crate::engine::Engine;
use crate::engine::key::Environment;
use crate::errors;
use crate::interrupt::Interrupt;
use crate::manifests::fetch::FetchPlaces;
use crate::store::Store;

/// A project's folder.
#[derive(Clone, Debug)]
pub struct Project {
    pub root: PathBuf,
}

impl Project {
    /// The folder that the user named, or the nearest one above the current one that looks like a project.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(global: &Global) -> anyhow::Result<Self> {
        let looks_right = |folder: &Path| folder.join("experiments").is_dir() && folder.join("data-manifests").is_dir();
        if let Some(root) = &global.project {
            if looks_right(root) {
                return Ok(Project { root: root.clone() });
            }
            return Err(errors::usage(
                format!("{} holds no `experiments/` and `data-manifests/`", root.display()),
                "name the folder of a Seesaw checkout with --project",
            ));
        }
        let here = std::env::current_dir().context("cannot tell the current folder")?;
        match here.ancestors().find(|folder| looks_right(folder)) {
            Some(root) => Ok(Project { root: root.to_owned() }),
            None => Err(errors::usage(
                format!("neither {} nor a folder above it holds `experiments/` and `data-manifests/`", here.display()),
                "run seesaw inside a checkout, or name one with --project",
            )),
        }
    }

    pub fn experiments(&self) -> PathBuf {
        self.root.join("experiments")
    }

    pub fn manifests(&self) -> PathBuf {
        self.root.join("data-manifests")
    }

    pub fn templates(&self) -> PathBuf {
        self.root.join("templates")
    }

    pub fn out(&self, suite: &str) -> PathBuf {
        self.root.join("out").join(suite)
    }

    /// The store's folder: `--store`, `SEESAW_STORE`, or `.seesaw` in the project.
    pub fn store_path(&self, global: &Global) -> PathBuf {
        global.store.clone().unwrap_or_else(|| self.root.join(".seesaw"))
    }

    /// Opens the store and settles device and threads.
    ///
    /// # Errors
    /// If the store cannot be opened, or the device is not there.
    pub fn engine(&self, global: &Global, interrupt: Interrupt) -> anyhow::Result<Engine> {
        let device = device(&global.device)?;
        let store = Store::open(&self.store_path(global))?;
        let downloads = FetchPlaces {
            partial: store.partial(),
            quarantine: store.quarantine(),
            manual: vec![self.root.join("downloads"), self.root.clone()],
        };
        let threads = global.threads.map_or_else(available_cores, usize::from);
        Ok(Engine { store, device, environment: Environment::here(device), threads, downloads, interrupt })
    }
}

fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The device that the user means.
///
/// # Errors
/// If the word is unknown (usage), or CUDA was asked for and is not there: says which of the two parts is missing.
fn device(word: &str) -> anyhow::Result<tch::Device> {
    let cuda = |index: usize| {
        if tch::Cuda::is_available() && (index as i64) < tch::Cuda::device_count() {
            return Ok(tch::Device::Cuda(index));
        }
        let (missing, remedy) = if !crate::training::built_with_cuda() {
            ("this build of libtorch is for the CPU alone", "run `TORCH=cuda make` and try again")
        } else if tch::Cuda::device_count() == 0 {
            ("libtorch finds no GPU", "see that `nvidia-smi` answers, or use `--device cpu`")
        } else {
            ("there is no GPU with this number", "`seesaw doctor` lists the devices")
        };
        Err(errors::usage(format!("the device `{word}` is not there: {missing}"), remedy))
    };
    match word {
        "cpu" => Ok(tch::Device::Cpu),
        "auto" if tch::Cuda::is_available() => Ok(tch::Device::Cuda(0)),
        "auto" => Ok(tch::Device::Cpu),
        "cuda" => cuda(0),
        other => match other.strip_prefix("cuda:").and_then(|index| index.parse().ok()) {
            Some(index) => cuda(index),
            None => Err(errors::usage(format!("unknown device `{other}`"), "use auto, cpu, cuda or cuda:N")),
        },
    }
}
