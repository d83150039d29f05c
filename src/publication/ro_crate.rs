//! `ro-crate-metadata.json`: the provenance in a form that repositories and other tools read.
//!
//! RO-Crate 1.1 (<https://w3id.org/ro/crate/1.1>), a Process Run Crate (<https://w3id.org/ro/wfrun/process/0.5>): the files
//! in `out/SUITE/` are data entities; each kind of step is a `CreateAction` whose instrument is this program. Outputs that
//! only the store holds are summarised as one collection per kind; `provenance.json`, part of the crate, lists the single
//! steps. The crate names no agent: who ran the program is not recorded.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::record::{self, Provenance, Status, Step};
use crate::digest::Digest;
use crate::steps::Kind;

/// The file's name under `out/SUITE/`.
pub const FILE: &str = "ro-crate-metadata.json";

const PROGRAM: &str = "#seesaw";
const LIBTORCH: &str = "#libtorch";
const PROCESS_RUN: &str = "https://w3id.org/ro/wfrun/process/0.5";
const TERMS: &str = "#terms";

/// The crate of a run, beside a `provenance.json` with this digest and size in bytes.
pub fn ro_crate(provenance: &Provenance, (sha256, size): (Digest, u64)) -> Value {
    let descriptor = json!({
        "@id": FILE,
        "@type": "CreativeWork",
        "conformsTo": reference("https://w3id.org/ro/crate/1.1"),
        "about": reference("./"),
    });
    let profile = json!({ "@id": PROCESS_RUN, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5" });
    let mut entities = vec![descriptor, root(provenance), profile, terms(provenance)];
    entities.extend(programs(provenance));
    entities.extend(provenance.materials.iter().map(material));
    entities.push(file(record::FILE, size, sha256));
    entities.extend(provenance.files.iter().map(|published| file(&published.file, published.size, published.sha256)));
    entities.extend(provenance.reports.iter().map(|report| file(&report.file, report.size, report.sha256)));
    for kind in kinds(provenance) {
        entities.push(action(provenance, kind));
        entities.push(collection(provenance, kind));
    }
    // Not every version of the crate's context defines the term.
    let terms = json!({ "sha256": "https://schema.org/sha256" });
    json!({ "@context": ["https://w3id.org/ro/crate/1.1/context", terms], "@graph": entities })
}

fn reference(id: impl Into<String>) -> Value {
    json!({ "@id": id.into() })
}

fn root(provenance: &Provenance) -> Value {
    let files = provenance.files.iter().map(|file| file.file.as_str());
    let files = files.chain([record::FILE]).chain(provenance.reports.iter().map(|report| report.file.as_str()));
    let mut root = json!({
        "@id": "./",
        "@type": "Dataset",
        "name": provenance.suite.title,
        "description": format!(
            "Results of the suite `{}` of Seesaw, a reproduction of \"See-Saw Modality Balance\" (Kwon et al., NAACL \
             2025): scores, tables and figures ({})",
            provenance.suite.name,
            provenance.suite.kind.mark()
        ),
        "conformsTo": reference(PROCESS_RUN),
        "license": reference(TERMS),
        "hasPart": files.map(reference).collect::<Vec<_>>(),
        "mentions": kinds(provenance).map(|kind| reference(action_id(kind))).collect::<Vec<_>>(),
    });
    // The date of the results, not of this file.
    if let Some(finished) = provenance.finished() {
        root["datePublished"] = finished.into();
    }
    root
}

/// The terms of use of the results follow from those of the data and weights.
fn terms(provenance: &Provenance) -> Value {
    let material =
        |material: &record::Material| format!("{}: {} ({})", material.title, material.licence, material.note);
    json!({
        "@id": TERMS,
        "@type": "CreativeWork",
        "name": "Terms of the datasets and weights behind these results",
        "description": provenance.materials.iter().map(material).collect::<Vec<_>>().join("\n"),
    })
}

fn programs(provenance: &Provenance) -> [Value; 2] {
    let record::Program { version, source_sha256, rustc, checkout } = &provenance.program;
    let mut words = format!("built by {rustc} from source with the SHA-256 {source_sha256}");
    if let Some(commit) = &checkout.commit {
        let dirty = if checkout.dirty == Some(true) { ", with changes" } else { "" };
        words += &format!("; the project's folder was at commit {commit}{dirty}");
    }
    let machine = &provenance.machine;
    [
        json!({
            "@id": PROGRAM,
            "@type": "SoftwareApplication",
            "name": "Seesaw",
            "softwareVersion": version,
            "description": words,
            "license": "https://spdx.org/licenses/MIT",
            "operatingSystem": machine.system,
            "processorRequirements": machine.architecture,
            "softwareRequirements": reference(LIBTORCH),
        }),
        json!({
            "@id": LIBTORCH,
            "@type": "SoftwareApplication",
            "name": "libtorch",
            "softwareVersion": machine.libtorch,
            "url": "https://pytorch.org",
        }),
    ]
}

fn material(material: &record::Material) -> Value {
    let mut entity = json!({
        "@id": format!("#material-{}", material.name),
        "@type": "CreativeWork",
        "name": material.title,
        "citation": material.citation,
        "description": format!("licence: {}; {}", material.licence, material.note),
    });
    if let Some(url) = &material.url {
        entity["url"] = url.as_str().into();
    }
    entity
}

fn file(name: &str, size: u64, sha256: Digest) -> Value {
    let mut entity = json!({
        "@id": name,
        "@type": "File",
        "name": name,
        "contentSize": size.to_string(),
        "sha256": sha256.to_string(),
    });
    if let Some(format) = media_type(name) {
        entity["encodingFormat"] = format.into();
    }
    entity
}

fn media_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "json" => "application/json",
        "csv" => "text/csv",
        "md" => "text/markdown",
        "tex" => "application/x-tex",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "html" => "text/html",
        _ => return None,
    })
}

fn of_kind<'a>(provenance: &'a Provenance, kind: Kind) -> impl Iterator<Item = &'a Step> + use<'a> {
    let done = provenance.steps.iter().filter(|step| step.status == Status::Done);
    done.filter(move |step| step.kind == kind.name())
}

/// The kinds with a finished step.
fn kinds(provenance: &Provenance) -> impl Iterator<Item = Kind> + '_ {
    Kind::ALL.into_iter().filter(|&kind| of_kind(provenance, kind).next().is_some())
}

fn action_id(kind: Kind) -> String {
    format!("#{}", kind.name())
}

fn collection_id(kind: &str) -> String {
    format!("#outputs-of-{kind}")
}

fn published(provenance: &Provenance, kind: Kind) -> impl Iterator<Item = &record::File> {
    let labels: BTreeSet<&str> = of_kind(provenance, kind).map(|step| &*step.step).collect();
    provenance.files.iter().filter(move |file| labels.contains(file.step.as_str()))
}

fn action(provenance: &Provenance, kind: Kind) -> Value {
    let count = of_kind(provenance, kind).count();
    let seconds: f64 = of_kind(provenance, kind).filter_map(|step| step.seconds).sum();
    let sources: BTreeSet<&str> =
        of_kind(provenance, kind).flat_map(|step| step.inputs.values().map(|input| &*input.step)).collect();
    let sources = provenance.steps.iter().filter(|step| sources.contains(&*step.step));
    let mut objects: BTreeSet<String> = sources.map(|source| collection_id(&source.kind)).collect();
    if kind == Kind::Fetch {
        objects.extend(provenance.materials.iter().map(|material| format!("#material-{}", material.name)));
    }
    let results = std::iter::once(collection_id(kind.name()))
        .chain(published(provenance, kind).map(|published| published.file.clone()));
    json!({
        "@id": action_id(kind),
        "@type": "CreateAction",
        "name": format!("{} ({count} {}, {seconds:.1} s in all)", kind.name(), if count == 1 { "step" } else { "steps" }),
        "instrument": reference(PROGRAM),
        "startTime": of_kind(provenance, kind).filter_map(|step| step.started.as_deref()).min(),
        "endTime": of_kind(provenance, kind).filter_map(|step| step.finished.as_deref()).max(),
        "actionStatus": reference("http://schema.org/CompletedActionStatus"),
        "object": objects.into_iter().map(reference).collect::<Vec<_>>(),
        "result": results.map(reference).collect::<Vec<_>>(),
    })
}

/// The outputs of all steps of a kind; most of them are only in the store.
fn collection(provenance: &Provenance, kind: Kind) -> Value {
    let outputs: usize = of_kind(provenance, kind).map(|step| step.outputs.len()).sum();
    json!({
        "@id": collection_id(kind.name()),
        "@type": "Collection",
        "name": format!("outputs of {}", kind.name()),
        "description": format!("{outputs} files, listed with their SHA-256 in {}", record::FILE),
        "hasPart": published(provenance, kind).map(|file| reference(&file.file)).collect::<Vec<_>>(),
    })
}
