//! What the tasks of a cluster ask for: a small TOML file.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::engine::devices::Devices;
use crate::{errors, settings};

/// The resources of each task. The defaults work on a plain Slurm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Profile {
    /// The partition; none: the cluster's default. The same holds for the account and the QoS.
    pub partition: Option<String>,
    pub account: Option<String>,
    pub qos: Option<String>,
    /// The GPUs of a task that encodes, trains or evaluates. With any, results are those of CUDA.
    pub gpus: u16,
    /// The cores of a task.
    pub cpus: u16,
    /// The memory of a task, as Slurm writes it: `16G`. None: the cluster's default.
    pub memory: Option<String>,
    /// The time limit of a task, in minutes.
    pub minutes: u32,
    /// Steps are packed into tasks that take about this long, in minutes.
    pub task_minutes: u32,
    /// The most tasks of a job; Slurm's own limit is 1001 unless the cluster changed it.
    pub tasks: u32,
    /// The most tasks of a job that run at the same time; none: no limit.
    pub at_once: Option<u32>,
    /// More options of `sbatch`: `--constraint=a100`.
    pub options: Vec<String>,
    /// Environment modules that a task loads.
    pub modules: Vec<String>,
    /// Lines of bash that a task runs before it starts.
    pub setup: Vec<String>,
}

impl Default for Profile {
    fn default() -> Self {
        Profile {
            partition: None,
            account: None,
            qos: None,
            gpus: 0,
            cpus: 2,
            memory: None,
            minutes: 60,
            task_minutes: 10,
            tasks: 1000,
            at_once: None,
            options: Vec::new(),
            modules: Vec::new(),
            setup: Vec::new(),
        }
    }
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// A usage error that names the file and the field.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
        let parsed = text.and_then(|text| Profile::parse(&text).with_context(|| format!("{}", path.display())));
        parsed.map_err(|error| errors::usage(format!("{error:#}"), "docs/cluster.md lists the fields of a profile"))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let profile: Profile = settings::from_toml(text).map_err(anyhow::Error::msg)?;
        let positive = [
            ("cpus", u32::from(profile.cpus)),
            ("minutes", profile.minutes),
            ("task-minutes", profile.task_minutes),
            ("tasks", profile.tasks),
            ("at-once", profile.at_once.unwrap_or(1)),
        ];
        for (field, value) in positive {
            anyhow::ensure!(value > 0, "`{field}` should be at least 1, found 0");
        }
        let Profile { minutes, task_minutes, .. } = profile;
        anyhow::ensure!(
            task_minutes <= minutes,
            "`task-minutes` should be at most `minutes`, {minutes}, found {task_minutes}"
        );
        for option in &profile.options {
            anyhow::ensure!(
                option.starts_with("--"),
                "`options` should be long options of sbatch such as \"--constraint=a100\", found {option:?}"
            );
        }
        Ok(profile)
    }

    /// The limit in seconds.
    pub fn limit(&self) -> f64 {
        60.0 * f64::from(self.minutes)
    }

    /// How long before its limit a task is told to stop, in seconds.
    pub fn notice(&self) -> u32 {
        (60 * self.minutes / 3).min(90)
    }

    /// The devices of a task.
    pub fn devices(&self) -> Devices {
        Devices::gpus(0..usize::from(self.gpus)).unwrap_or(Devices::CPU)
    }

    /// The word for the device of the tasks.
    pub fn device(&self) -> &'static str {
        if self.gpus > 0 { "cuda" } else { "cpu" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_defaults() {
        assert_eq!(Profile::parse("").unwrap(), Profile::default());
        let found =
            Profile::parse("partition = \"gpu\"\ngpus = 1\ntask-minutes = 5\noptions = [\"--nice=5\"]").unwrap();
        assert_eq!((found.partition.as_deref(), found.device(), found.minutes), (Some("gpu"), "cuda", 60));
        assert_eq!((Profile { minutes: 1, ..found.clone() }.notice(), found.notice()), (20, 90));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, what) in [
            ("partitoin = \"gpu\"", "unknown field `partitoin`"),
            ("cpus = 0", "`cpus` should be at least 1"),
            ("minutes = 5", "`task-minutes` should be at most `minutes`, 5, found 10"),
            ("options = [\"-p gpu\"]", "`options` should be long options"),
            ("gpus = -1", "gpus"),
        ] {
            let error = format!("{:#}", Profile::parse(text).unwrap_err());
            assert!(error.contains(what), "{error}");
        }
        let error = Profile::load(Path::new("no/such/profile.toml")).unwrap_err();
        assert_eq!(errors::class_of(&error), errors::Class::Usage);
        assert!(error.to_string().contains("no/such/profile.toml"), "{error}");
    }
}
