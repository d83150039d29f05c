//! Submits what is pending of a suite.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context;

use super::{ABSENT, Record, SUBMISSION, Submissions, TaskList, write};
use crate::engine::graph::NodeId;
use crate::engine::run::Outcome;
use crate::engine::slurm::pack::{Packing, Stage, Task, tasks};
use crate::engine::slurm::profile::Profile;
use crate::engine::slurm::queue::{self, Job};
use crate::engine::slurm::script::Script;
use crate::engine::survey::State;
use crate::errors;
use crate::files;
use crate::planning::calibration::Calibration;
use crate::progress::say;
use crate::publication::Run;
use crate::steps::{Absence, Status};

/// A suite to submit.
pub struct Submit<'a> {
    pub run: &'a Run,
    pub profile: &'a Profile,
    /// The speed of this machine, or of one GPU of the tasks.
    pub machine: &'a Calibration,
    /// The program that the tasks run.
    pub program: PathBuf,
}

/// A job, as it would be submitted.
pub struct PlannedJob {
    pub stage: Stage,
    /// The estimates of its tasks in seconds, and the number of their steps.
    pub seconds: Vec<f64>,
    pub steps: usize,
    pub command: Vec<String>,
    pub script: String,
}

/// What a submission did.
pub struct Submitted {
    /// The jobs with their numbers; none if everything is done or in the queue.
    pub jobs: Vec<(PlannedJob, Option<u64>)>,
    /// The number of steps that the queue has already.
    pub queued: usize,
    /// The steps that cannot be computed, since their data is unavailable or a download failed.
    pub absent: usize,
}

/// The tasks of each job, in the order of the jobs.
type Stages = Vec<(Stage, Vec<Task>)>;

impl Submit<'_> {
    /// Says what [`Submit::submit`] would do. Neither needs Slurm nor writes anything.
    ///
    /// # Errors
    /// If the files of earlier submissions cannot be read.
    pub fn dry_run(&self) -> anyhow::Result<Submitted> {
        let submissions = Submissions::of(&self.run.planned.out)?;
        let folder = submissions.folder.join("dry-run");
        let (planned, absent) = self.plan(&submissions, &BTreeSet::new(), &[], None)?;
        let mut jobs = Vec::new();
        for (stage, tasks) in planned {
            let (job, script) = self.job(stage, &tasks, &folder, Vec::new())?;
            jobs.push((self.described(stage, &tasks, &job, script), None));
        }
        Ok(Submitted { jobs, queued: 0, absent })
    }

    /// Submits what is pending and not in the queue. Earlier downloads, by `fetched`, leave word of those that failed.
    ///
    /// # Errors
    /// If Slurm refuses a job, a file cannot be written, or a stop was requested. Then none of the jobs stays in the queue.
    pub fn submit(&self, fetched: &Outcome) -> anyhow::Result<Submitted> {
        let Run { planned, engine, .. } = self.run;
        let mut submissions = Submissions::of(&planned.out)?;
        let _lock = submissions.lock(engine.store.locks()?, &engine.interrupt)?;
        submissions = Submissions::of(&planned.out)?;
        let (mut in_queue, mut earlier) = (BTreeSet::new(), Vec::new());
        for (submission, stage, task) in submissions.queued()? {
            let labels = submission.list(stage)?.tasks.into_iter().nth(task.index).unwrap_or_default();
            in_queue.extend(labels.iter().filter_map(|label| planned.graph.find(label)));
            earlier.push((stage, task.job));
        }
        earlier.sort_unstable();
        earlier.dedup();
        let (jobs, absent) = self.plan(&submissions, &in_queue, &earlier, Some(fetched))?;
        if jobs.is_empty() {
            return Ok(Submitted { jobs: Vec::new(), queued: in_queue.len(), absent });
        }
        let store = engine.store.identify()?;
        let folder = self.new_folder(&submissions)?;
        let failed = absent_downloads(fetched).map(|(id, absence)| (planned.graph.node(id).step.label(), absence));
        write(&folder.join(format!("fetch{ABSENT}")), &failed.collect::<BTreeMap<String, &Absence>>())?;
        let mut record = Record { device: self.profile.device().to_owned(), jobs: BTreeMap::new() };
        write(&folder.join(SUBMISSION), &record)?;
        let mut submitted = Vec::new();
        for (stage, tasks) in jobs {
            let mut after: Vec<u64> =
                earlier.iter().filter(|(before, _)| *before < stage).map(|(_, job)| *job).collect();
            after.extend(record.jobs.values());
            let (job, script) = self.job(stage, &tasks, &folder, after)?;
            let label = |id: &NodeId| planned.graph.node(*id).step.label();
            let labels = tasks.iter().map(|task| task.steps.iter().map(label).collect()).collect();
            write(&folder.join(format!("{}.json", stage.name())), &TaskList { stage, store, tasks: labels })?;
            files::write_atomically(&job.script, &folder, script.as_bytes())?;
            let number = job.submit().and_then(|number| {
                record.jobs.insert(stage, number);
                write(&folder.join(SUBMISSION), &record)?;
                engine.interrupt.check().map(|()| number)
            });
            let number = number.inspect_err(|_| self.withdraw(&record, &folder))?;
            submitted.push((self.described(stage, &tasks, &job, script), Some(number)));
        }
        Ok(Submitted { jobs: submitted, queued: in_queue.len(), absent })
    }

    /// The jobs to submit, each with its tasks, and the number of steps that cannot be computed.
    fn plan(
        &self,
        submissions: &Submissions,
        in_queue: &BTreeSet<NodeId>,
        earlier: &[(Stage, u64)],
        fetched: Option<&Outcome>,
    ) -> anyhow::Result<(Stages, usize)> {
        let Run { planned, engine, .. } = self.run;
        let graph = &planned.graph;
        let mut absences = submissions.absences()?;
        let failed = fetched.into_iter().flat_map(absent_downloads);
        absences.extend(failed.map(|(id, absence)| (graph.node(id).step.label(), absence.clone())));
        // What was collected without them is done.
        let (states, _) = engine.survey_without(graph, &absences);
        let (steps, absent) = self.pending(&states, fetched);
        let devices = self.profile.devices();
        let (predictions, _) = engine.predictions(planned, &states, self.machine, &devices);
        let seconds: Vec<f64> = predictions.into_iter().map(|(seconds, _)| seconds).collect();
        let packing = Packing {
            least: 60.0 * f64::from(self.profile.task_minutes),
            // Machines differ.
            most: 0.8 * self.profile.limit(),
            tasks: self.profile.tasks as usize,
            at_once: 1,
        };
        let packing = |stage| {
            let workers = devices.workers(usize::from(self.profile.cpus));
            // On the CPU, an encoding takes all cores.
            let share_devices = stage == Stage::Train || (stage == Stage::Encode && devices.are_gpus());
            Packing { at_once: if share_devices { workers } else { 1 }, ..packing }
        };
        let stage_of = |id: &NodeId| Stage::of(graph.node(*id).step.kind());
        let mut jobs = Vec::new();
        for stage in Stage::ALL {
            let of_stage = steps.iter().copied().filter(|id| stage_of(id) == Some(stage));
            if stage != Stage::Finish {
                let open: Vec<NodeId> = of_stage.filter(|id| !in_queue.contains(id)).collect();
                let tasks = tasks(graph, &open, stage, &seconds, packing(stage));
                jobs.extend((!tasks.is_empty()).then_some((stage, tasks)));
                continue;
            }
            let all: Vec<NodeId> = of_stage.collect();
            let is_queued = earlier.iter().any(|(stage, _)| *stage == Stage::Finish);
            let has_work = !all.is_empty() || !self.is_finished(submissions)?;
            if !jobs.is_empty() || (has_work && !is_queued) {
                let mut tasks = tasks(graph, &all, stage, &seconds, packing(stage));
                // It publishes even if no step is pending.
                tasks.truncate(1);
                jobs.push((stage, if tasks.is_empty() { vec![Task::default()] } else { tasks }));
            }
        }
        Ok((jobs, absent))
    }

    /// Whether `out/` is up to date, with what is absent for the causes that are known.
    fn is_finished(&self, submissions: &Submissions) -> anyhow::Result<bool> {
        Ok(self.run.if_finished().is_some() || !submissions.absences()?.is_empty())
    }

    /// The needed steps that are not done and can be computed, and the number of those that cannot.
    fn pending(&self, states: &[State], fetched: Option<&Outcome>) -> (Vec<NodeId>, usize) {
        let graph = &self.run.planned.graph;
        let needed = graph.needed_for(&self.run.wanted(&|_| true));
        let lost: BTreeSet<NodeId> = self.run.engine.lost(graph, states).into_iter().collect();
        let (mut pending, mut absent) = (Vec::new(), BTreeSet::new());
        for id in needed {
            let node = graph.node(id);
            let is_blocked = || {
                !node.step.tolerates_absent_inputs() && node.inputs.values().any(|source| absent.contains(&source.node))
            };
            let is_download = Stage::of(node.step.kind()).is_none();
            match &states[id.0] {
                State::Done(..) if !lost.contains(&id) => {}
                // Without an outcome, downloads are still to come.
                State::Ready(..) if is_download && fetched.is_none() => {}
                State::Refused(..) | State::Blocked(_) => drop(absent.insert(id)),
                _ if is_download || is_blocked() => drop(absent.insert(id)),
                _ => pending.push(id),
            }
        }
        (pending, absent.len())
    }

    fn new_folder(&self, submissions: &Submissions) -> anyhow::Result<PathBuf> {
        let free = (1u64..).map(|number| submissions.folder.join(number.to_string())).find(|path| !path.exists());
        let folder = free.expect("some number is free");
        files::create_folder(&folder)?;
        // Scripts and logs are found from other folders and other nodes.
        std::path::absolute(&folder).with_context(|| format!("cannot find {}", folder.display()))
    }

    /// A job and its script.
    fn job(
        &self,
        stage: Stage,
        tasks: &[Task],
        folder: &std::path::Path,
        after: Vec<u64>,
    ) -> anyhow::Result<(Job<'_>, String)> {
        let Run { project, planned, .. } = self.run;
        let absolute =
            |path: PathBuf| std::path::absolute(&path).with_context(|| format!("cannot find {}", path.display()));
        let text = |path: PathBuf| absolute(path).map(|path| path.display().to_string());
        let folder = absolute(folder.to_owned())?;
        let root = absolute(project.root.clone())?;
        let options = &project.options;
        let mut command = vec![self.program.display().to_string(), "task".into(), planned.suite.name.clone()];
        let list = folder.join(format!("{}.json", stage.name()));
        let mut option = |name: &str, value: String| command.extend([format!("--{name}"), value]);
        option("list", list.display().to_string());
        option("project", root.display().to_string());
        option("store", text(project.store_path())?);
        option("device", self.profile.device().to_owned());
        option("threads", self.profile.cpus.to_string());
        if let Some(subset) = options.subset {
            option("subset", subset.to_string());
        }
        if let Some(seeds) = &options.seeds {
            option("seeds", seeds.argument());
        }
        if let Some(templates) = &options.templates {
            option("templates", text(templates.clone())?);
        }
        let script = Script { project: root, profile: self.profile, command }.text();
        let job = Job {
            stage,
            name: format!("seesaw-{}-{}", planned.suite.name, stage.name()),
            tasks: tasks.len(),
            profile: self.profile,
            script: folder.join(super::script(stage)),
            folder,
            after,
            remote: options.named_remote(),
        };
        Ok((job, script))
    }

    fn described(&self, stage: Stage, tasks: &[Task], job: &Job<'_>, script: String) -> PlannedJob {
        PlannedJob {
            stage,
            seconds: tasks.iter().map(|task| task.seconds).collect(),
            steps: tasks.iter().map(|task| task.steps.len()).sum(),
            command: job.command(),
            script,
        }
    }

    /// Takes the jobs of a submission that failed halfway out of the queue.
    fn withdraw(&self, record: &Record, folder: &std::path::Path) {
        let jobs: Vec<u64> = record.jobs.values().copied().collect();
        if let Err(error) = queue::cancel(&jobs) {
            tracing::warn!("the jobs {jobs:?} stay in the queue: {error:#}");
            return;
        }
        if !jobs.is_empty() {
            let jobs: Vec<String> = jobs.iter().map(u64::to_string).collect();
            say(format_args!("what was submitted is taken back: {}", jobs.join(", ")));
        }
        if let Err(error) = std::fs::remove_dir_all(folder) {
            tracing::warn!("cannot remove {}: {error}", folder.display());
        }
    }
}

/// The downloads that failed or are unavailable.
fn absent_downloads(fetched: &Outcome) -> impl Iterator<Item = (NodeId, &Absence)> {
    [Status::Failed, Status::Unavailable].into_iter().flat_map(|status| fetched.absent(status))
}

impl Run {
    /// Refuses what a cluster cannot do.
    ///
    /// # Errors
    /// A usage error.
    pub fn check_for_cluster(&self) -> anyhow::Result<()> {
        match &self.project.options.mirror {
            None => Ok(()),
            Some(_) => Err(errors::usage(
                "a suite with --mirror cannot be submitted: its tasks would need the mirror's server",
                "run it on this machine with `seesaw run`",
            )),
        }
    }
}
