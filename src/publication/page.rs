//! `report.html` and `report.tex`: the content is gathered from the records and outputs of a run.

use std::collections::BTreeMap;

use super::drafts::{By, Drafts};
use super::record::{self, Machine, Program};
use super::{Finished, claims, outputs, recheck};
use crate::engine::graph::{Node, NodeId};
use crate::engine::run::NodeOutcome;
use crate::report::agreement::{Agreements, Margin};
use crate::report::html::{self, DatasetEntry, Fact, Failure, MethodEntry, Origin, Report, StepTime};
use crate::report::latex;
use crate::report::open_questions::open_questions;
use crate::report::reference::{self, Reference};
use crate::report::results::Results;
use crate::report::{value_of, words};
use crate::steps::prepare::{About, Prepare};
use crate::steps::{Absence, Kind, Status, Step};
use crate::store::{Ingredients, Processor, Value};
use crate::terms::{Split, TaskKind};

/// `report.html` and `report.tex`, made by this program on this machine.
///
/// # Errors
/// If results cannot be read, or a template is malformed.
pub fn write(
    finished: &Finished,
    (program, machine): By<'_>,
    drafts: &Drafts<'_>,
) -> anyhow::Result<Vec<&'static str>> {
    let report = gather(finished, environment(program, machine))?;
    let templates = finished.run.project.templates();
    let document = drafts.write("report.tex", latex::document(&report, &templates)?)?;
    Ok(vec![drafts.create("report.html", |file| html::write(report, &templates, file))?, document])
}

fn gather(finished: &Finished, environment: Vec<Fact>) -> anyhow::Result<Report> {
    let results = outputs::results(finished)?;
    let (tables, figures) = outputs::targets(finished)?;
    let experiments = finished.run.project.experiments();
    let reference = experiments.join(reference::FILE).is_file().then(|| Reference::load(&experiments)).transpose()?;
    let printed = finished.run.planned.suite.reference.as_ref();
    Ok(Report {
        reference: printed.cloned(),
        agreements: printed.and_then(|printed| Agreements::of(&results, printed, Margin::default())),
        tables,
        figures,
        paper: reference.map(|reference| reference.paper),
        claims: claims::judge_if_any(finished)?,
        datasets: datasets(finished, &results)?,
        methods: methods(finished, &results),
        questions: open_questions()?,
        environment: [environment, computed_by(finished), recheck::fact(finished, &results)?.into_iter().collect()]
            .concat(),
        steps: steps(finished),
        incomplete: incomplete(finished),
        failures: failures(finished),
        results,
    })
}

/// The prepared datasets, each under the titles of the suite's entries that use it.
fn datasets(finished: &Finished, results: &Results) -> anyhow::Result<Vec<DatasetEntry>> {
    let prepared = finished.steps().filter_map(|(id, node)| match &node.step {
        Step::Prepare(prepare) => Some((id, prepare)),
        _ => None,
    });
    let entry = |(id, step): (NodeId, &Prepare)| {
        let used = finished.run.planned.suite.datasets.iter().filter(|dataset| dataset.samples == step.name);
        let mut titles: Vec<&str> = Vec::new();
        for dataset in used {
            let title = results.suite.dataset(&dataset.name).map_or(dataset.name.as_str(), |known| &known.title);
            if !titles.contains(&title) {
                titles.push(title);
            }
        }
        let content = match finished.nodes.get(id.0) {
            Some(NodeOutcome::Done(_, action)) => Ok(counts(outputs::read_json(finished, action, "about")?)),
            Some(NodeOutcome::Absent(absence)) => Err(absence.in_short()),
            _ => Err("not run yet".to_owned()),
        };
        Ok(DatasetEntry { title: titles.join(", "), content })
    };
    prepared.map(entry).collect()
}

fn counts(about: About) -> html::Counts {
    let task = match about.task {
        TaskKind::Multiclass => format!("one of {} classes", about.classes.len()),
        TaskKind::Binary => "one of two classes".to_owned(),
        TaskKind::Multilabel => format!("any of {} labels", about.classes.len()),
    };
    let samples = Split::ALL.map(|split| {
        let name = split.name();
        (name.to_owned(), about.samples.get(name).copied().unwrap_or(0) as u64)
    });
    html::Counts {
        task,
        samples: samples.into(),
        found: about.found.into_iter().collect(),
        dropped: about.dropped.into_iter().collect(),
    }
}

/// The methods with the options of their trainings, as in their keys.
fn methods(finished: &Finished, results: &Results) -> Vec<MethodEntry> {
    let mut candidates: BTreeMap<&str, usize> = BTreeMap::new();
    let mut options: BTreeMap<&str, Vec<Fact>> = BTreeMap::new();
    for (id, node) in finished.steps() {
        let (Step::Train(train), Some(_)) = (&node.step, finished.action(id)) else { continue };
        let number = train.candidate.map_or(0, |candidate| candidate + 1);
        candidates.entry(&train.name).and_modify(|most| *most = number.max(*most)).or_insert(number);
        options.entry(&train.name).or_insert_with(|| options_of(&node.step));
    }
    let entry = |method: &crate::report::results::MethodDescription| {
        let chosen = match candidates.get(method.name.as_str()) {
            None | Some(0) => options.get(method.name.as_str()).cloned().unwrap_or_default(),
            Some(n) => vec![Fact::new("chosen on the validation split, candidates", n.to_string())],
        };
        MethodEntry { title: method.title.clone(), source: method.source.clone(), options: chosen }
    };
    results.suite.methods.iter().map(entry).collect()
}

fn options_of(step: &Step) -> Vec<Fact> {
    let mut ingredients = Ingredients::default();
    step.ingredients(&mut ingredients);
    let of_method = |ingredient: &crate::store::Ingredient| {
        let name = ingredient.name.strip_prefix("method.").filter(|name| *name != "method")?;
        let value = match &ingredient.value {
            Value::Text(text) => text.clone(),
            other => other.to_string(),
        };
        Some(Fact::new(name, value))
    };
    ingredients.0.iter().filter_map(of_method).collect()
}

fn environment(program: &Program, machine: &Machine) -> Vec<Fact> {
    let commit = program.checkout.commit.as_ref().map_or_else(
        || "unknown".to_owned(),
        |commit| commit.clone() + if program.checkout.dirty == Some(true) { ", with changes" } else { "" },
    );
    let ignored = match &machine.ignored[..] {
        [] => None,
        names => Some(Fact::new("Variables that were ignored", names.join(", "))),
    };
    let facts = [
        Fact::new("Seesaw", program.version.clone()),
        Fact::new("Commit of the project's folder", commit),
        Fact::new("Compiler", program.rustc.clone()),
        Fact::new("libtorch", machine.libtorch.clone()),
        Fact::new("Device", machine.device.clone()),
        Fact::new("Architecture", format!("{}, {}", machine.architecture, machine.system)),
        Fact::new("Threads", format!("{}, of {} cores", machine.threads, machine.cores)),
    ];
    facts.into_iter().chain(ignored).collect()
}

/// What computed the trainings, each kind of processor with their number.
fn computed_by(finished: &Finished) -> Vec<Fact> {
    let mut kinds: BTreeMap<&Processor, u64> = BTreeMap::new();
    for (id, _) in finished.steps().filter(|(_, node)| node.step.kind() == Kind::Train) {
        let processor = finished.action(id).and_then(|action| action.computed_by.as_ref());
        processor.into_iter().for_each(|processor| *kinds.entry(processor).or_default() += 1);
    }
    let many = kinds.len() > 1;
    let fact = |(processor, n): (&Processor, u64)| {
        let words = format!("{} on {processor}", words::several(n, "training"));
        Fact::new(
            "Computed",
            if many { format!("{words}; other kinds of processors give other last bits") } else { words },
        )
    };
    kinds.into_iter().map(fact).collect()
}

fn steps(finished: &Finished) -> Vec<StepTime> {
    let time = |(id, node): (NodeId, &Node)| match finished.nodes.get(id.0)? {
        NodeOutcome::Done(key, action) => Some(StepTime {
            kind: node.step.kind().name(),
            label: node.step.label(),
            key: *key,
            seconds: action.seconds,
            finished: record::rfc3339(action.finished),
        }),
        _ => None,
    };
    let mut steps: Vec<StepTime> = finished.steps().filter_map(time).collect();
    steps.sort_by_key(|step| Kind::named(step.kind));
    steps
}

/// What is missing, in a few words; none if everything is done.
fn incomplete(finished: &Finished) -> Option<String> {
    let is_absent = |id: NodeId| matches!(finished.nodes.get(id.0), Some(NodeOutcome::Absent(_)));
    record::incomplete(finished.steps().map(|(id, node)| (node.step.kind(), is_absent(id))))
}

/// The causes of all missing results: steps of one kind that ended in the same way together, with the steps that did not run
/// because of them.
pub fn failures(finished: &Finished) -> Vec<Failure> {
    let mut groups: Vec<(Option<(Kind, Status)>, Group<'_>)> = Vec::new();
    for (id, node) in finished.steps() {
        let Some(NodeOutcome::Absent(absence)) = finished.nodes.get(id.0) else { continue };
        let of = absence.origin.as_ref().map(|origin| (origin.kind, origin.status));
        let group = value_of(&mut groups, of);
        if !group.firsts.iter().any(|first| first.origin == absence.origin && first.cause == absence.cause) {
            group.firsts.push(absence);
        }
        if absence.status == Status::NotRun {
            group.steps.push(node.step.label());
        }
    }
    groups.into_iter().map(|(of, group)| group.described(of)).collect()
}

/// Steps of one kind that ended in the same way.
#[derive(Default)]
struct Group<'a> {
    /// An absence of each of them.
    firsts: Vec<&'a Absence>,
    steps: Vec<String>,
}

impl Group<'_> {
    /// The kind and the end are none if no step is to blame.
    fn described(self, of: Option<(Kind, Status)>) -> Failure {
        let first = self.firsts[0];
        let how = match of {
            Some((_, Status::Unavailable)) => "unavailable",
            _ => "failed",
        };
        let what = match (of, &first.origin, self.firsts.len()) {
            (Some(_), Some(origin), 1) if how == "failed" => format!("{} failed", origin.step),
            (Some(_), Some(origin), 1) => format!("{} is unavailable", origin.step),
            (Some((Kind::Fetch, _)), _, n) => format!("{n} downloads {how}"),
            (Some((kind, _)), _, n) => format!("{n} steps of the kind {} {how}", kind.name()),
            (None, ..) => "Steps that did not run".to_owned(),
        };
        let cause = self.firsts.iter().all(|one| one.cause == first.cause).then(|| first.cause.clone());
        let hint = first.hint.clone().filter(|_| self.firsts.iter().all(|one| one.hint == first.hint));
        let each = |one: &&Absence| Origin {
            step: one.origin.as_ref().map_or_else(String::new, |origin| origin.step.clone()),
            cause: cause.is_none().then(|| one.cause.clone()),
            hint: one.hint.clone().filter(|_| hint.is_none()),
        };
        let each = if self.firsts.len() > 1 { self.firsts.iter().map(each).collect() } else { Vec::new() };
        Failure { what, cause, hint, each, steps: self.steps }
    }
}
