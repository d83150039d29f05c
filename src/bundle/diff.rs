//! What moved between two runs: numbers, verdicts, and what the runs were made of. A run is a folder of `out/`, a bundle, or a
//! file of results.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

use super::unpack;
use crate::errors;
use crate::interrupt::Interrupt;
use crate::publication::record::{self, Provenance};
use crate::report::diff::{self, Moved, Numbers};
use crate::report::escape::markdown;
use crate::report::results::{Results, SCHEMA};
use crate::report::words;

/// The files of a run that are read.
const RESULTS: &str = "results.json";
const CLAIMS: &str = "claims.json";

/// The most names of numbers that are listed unasked.
const LISTED: usize = 5;

/// What moved between two runs.
#[derive(Debug, Serialize)]
pub struct Diff {
    pub first: String,
    pub second: String,
    pub numbers: Numbers,
    /// Claims whose verdicts changed.
    pub verdicts: Vec<Change>,
    /// What differs between what the two were made of; none without the provenance of both.
    pub ingredients: Option<Vec<Change>>,
}

/// Something that was one thing and is another.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub what: String,
    pub first: String,
    pub second: String,
}

/// A run, as far as it is there.
struct Side {
    results: Results,
    /// Claim → verdict.
    verdicts: BTreeMap<String, String>,
    provenance: Option<Provenance>,
}

/// Compares two runs; `alpha` is the level of significance of all numbers together.
///
/// # Errors
/// A usage error if one of the two is no run; if a file of it is malformed.
pub fn diff([first, second]: [&Path; 2], alpha: f64, interrupt: &Interrupt) -> anyhow::Result<Diff> {
    let [one, other] = [read(first, interrupt)?, read(second, interrupt)?];
    // A file of results alone has no verdicts.
    let has_both = !one.verdicts.is_empty() && !other.verdicts.is_empty();
    let verdicts = if has_both { changes(&one.verdicts, &other.verdicts) } else { Vec::new() };
    let provenance = one.provenance.as_ref().zip(other.provenance.as_ref());
    let ingredients = provenance.map(|(one, other)| changes(&made_of(one), &made_of(other)));
    let [first, second] = [first, second].map(|path| path.display().to_string());
    Ok(Diff { first, second, numbers: diff::numbers(&one.results, &other.results, alpha), verdicts, ingredients })
}

fn read(run: &Path, interrupt: &Interrupt) -> anyhow::Result<Side> {
    let no_run = |why: String| {
        let hint = "name a folder in out/, a file from `seesaw export`, or a results.json";
        errors::usage(format!("{} is no run: {why}", run.display()), hint)
    };
    if run.is_dir() {
        return side(run, &no_run);
    }
    if !run.is_file() {
        return Err(no_run("there is no such file or folder".into()));
    }
    if run.extension().is_some_and(|ending| ending == "json") {
        return Ok(Side { results: results(run)?, verdicts: BTreeMap::new(), provenance: None });
    }
    let scratch =
        tempfile::Builder::new().prefix("seesaw-diff-").tempdir().context("cannot make a temporary folder")?;
    let bundle = unpack::unpack(run, &scratch.path().join("bundle"), interrupt)?;
    match bundle.problems.first() {
        Some(problem) => Err(errors::failed(
            format!("{} is damaged: {problem}", run.display()),
            "run `seesaw verify` on it, and get it again",
        )),
        None => side(&bundle.folder.join("out"), &no_run),
    }
}

fn side(folder: &Path, no_run: &dyn Fn(String) -> anyhow::Error) -> anyhow::Result<Side> {
    let path = folder.join(RESULTS);
    if !path.is_file() {
        return Err(no_run(format!("it has no {RESULTS}")));
    }
    let claims = folder.join(CLAIMS);
    let judged: Value = if claims.is_file() { parse(&claims)? } else { Value::Null };
    let verdict = |claim: &Value| {
        Some((claim["id"].as_str()?.to_owned(), claim["verdict"].as_str().unwrap_or("not judged").replace('-', " ")))
    };
    let provenance = folder.join(record::FILE);
    Ok(Side {
        results: results(&path)?,
        verdicts: judged["claims"].as_array().into_iter().flatten().filter_map(verdict).collect(),
        provenance: provenance.is_file().then(|| Provenance::parse(&bytes(&provenance)?)).transpose()?,
    })
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn results(path: &Path) -> anyhow::Result<Results> {
    let results: Results = parse(path)?;
    let (found, known) = (results.schema, SCHEMA);
    let made_again = "make them again with `seesaw run`";
    anyhow::ensure!(
        found == known,
        errors::failed(format!("{} has the layout {found}, expected {known}", path.display()), made_again)
    );
    Ok(results)
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    serde_json::from_slice(&bytes(path)?).with_context(|| format!("{} is malformed", path.display()))
}

/// What a run was made of, by name: its program, machine, files and recipes, and the content of its archives.
fn made_of(provenance: &Provenance) -> BTreeMap<String, String> {
    let record::Provenance { suite, program, machine, sources, recipes, steps, .. } = provenance;
    let listed = |items: &[String]| items.join(", ");
    let seeds: Vec<String> = suite.seeds.iter().map(u64::to_string).collect();
    let mut made: BTreeMap<String, String> = [
        ("suite", suite.name.clone()),
        ("seeds", listed(&seeds)),
        ("samples of each split", suite.subset.map_or_else(|| "all".to_owned(), |subset| subset.to_string())),
        ("program's source", program.source_sha256.clone()),
        ("system", format!("{}, {}", machine.system, machine.architecture)),
        ("device", machine.device.clone()),
        ("libtorch", machine.libtorch.clone()),
        ("vector instructions", listed(&machine.vector_instructions)),
        ("GPUs", listed(&machine.gpus)),
    ]
    .map(|(what, value)| (what.to_owned(), value))
    .into();
    let digest = |digest: Option<crate::digest::Digest>| digest.map_or_else(|| "unknown".to_owned(), |d| d.to_string());
    made.extend(sources.iter().map(|source| (source.file.clone(), digest(source.sha256))));
    for (of, versions) in [
        ("step", &recipes.steps),
        ("dataset", &recipes.datasets),
        ("encoder", &recipes.encoders),
        ("method", &recipes.methods),
    ] {
        made.extend(versions.iter().map(|(name, version)| (format!("recipe of the {of} {name}"), version.to_string())));
    }
    let archives = steps.iter().filter(|step| step.kind == crate::steps::Kind::Fetch.name());
    made.extend(
        archives.filter_map(|step| Some((step.step.to_string(), step.outputs.values().next()?.sha256.to_string()))),
    );
    made
}

fn changes(first: &BTreeMap<String, String>, second: &BTreeMap<String, String>) -> Vec<Change> {
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let of = |side: &BTreeMap<String, String>, name: &String| {
        side.get(name).filter(|value| !value.is_empty()).map_or_else(|| "none".to_owned(), Clone::clone)
    };
    let changed = names.into_iter().filter(|name| of(first, name) != of(second, name));
    changed.map(|name| Change { what: name.clone(), first: of(first, name), second: of(second, name) }).collect()
}

impl Diff {
    /// Whether a number moved beyond noise, or is gone.
    pub fn has_moved(&self) -> bool {
        let Numbers { moved, only_first, .. } = &self.numbers;
        !(moved.is_empty() && only_first.is_empty())
    }

    /// In Markdown, as for a pull request; with `all`, what differs within noise, too.
    pub fn markdown(&self, all: bool) -> String {
        let Diff { first, second, numbers, verdicts, ingredients } = self;
        let mut text = format!("{}\n", words::capitalized(&numbers.sentence()));
        let table = |text: &mut String, title: &str, rows: &[Moved]| {
            if !rows.is_empty() {
                *text +=
                    &format!("\n{title}:\n\n| number | first | second | difference | p |\n|---|---:|---:|---:|---:|\n");
            }
            for moved in rows {
                let p = moved.p_corrected.map_or_else(|| "—".to_owned(), |p| format!("{p:.2}"));
                let (name, difference) = (markdown(&moved.name()), words::signed(moved.difference));
                *text += &format!("| {name} | {:.2} | {:.2} | {difference} | {p} |\n", moved.first, moved.second);
            }
        };
        table(&mut text, "Moved beyond noise (p after Holm's correction)", &numbers.moved);
        if all {
            table(&mut text, "Within noise", &numbers.within_noise);
        }
        for (which, names) in [(first, &numbers.only_first), (second, &numbers.only_second)] {
            let shown = if all { names.len() } else { names.len().min(LISTED) };
            if !names.is_empty() {
                let more = names.len() - shown;
                let more = if more == 0 { String::new() } else { format!(", and {more} more (--all)") };
                text += &format!("\nOnly in {which}: {}{more}\n", names[..shown].join(", "));
            }
        }
        let mut list = |title: &str, changes: &[Change]| {
            text += &format!("\n{title}:\n\n");
            for Change { what, first, second } in changes {
                let [first, second] = [first, second].map(|value| shortened(value));
                text += &format!("- {what}: {first} → {second}\n");
            }
        };
        if !verdicts.is_empty() {
            list("Verdicts that changed", verdicts);
        }
        match ingredients {
            Some(changes) if !changes.is_empty() => list("What the runs were made of differs", changes),
            _ => {}
        }
        text
    }
}

/// A hash as far as people compare it.
fn shortened(value: &str) -> &str {
    let is_hash = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { &value[..12] } else { value }
}
