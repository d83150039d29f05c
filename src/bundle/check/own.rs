//! This program's own templates, claims and numbers of the paper, which judge those of a bundle.

use std::collections::BTreeSet;

use super::super::unpack::Bundle;
use super::Check;

/// The files as they were when this program was built, relative to the project.
const FILES: [(&str, &str); 12] = [
    ("experiments/claims.toml", include_str!("../../../experiments/claims.toml")),
    ("experiments/reference.json", include_str!("../../../experiments/reference.json")),
    ("templates/report.css", include_str!("../../../templates/report.css")),
    ("templates/report.html.j2", include_str!("../../../templates/report.html.j2")),
    ("templates/report.js", include_str!("../../../templates/report.js")),
    ("templates/report.tex.j2", include_str!("../../../templates/report.tex.j2")),
    ("templates/shared.csv.j2", include_str!("../../../templates/shared.csv.j2")),
    ("templates/shared.md.j2", include_str!("../../../templates/shared.md.j2")),
    ("templates/shared.tex.j2", include_str!("../../../templates/shared.tex.j2")),
    ("templates/table.csv.j2", include_str!("../../../templates/table.csv.j2")),
    ("templates/table.md.j2", include_str!("../../../templates/table.md.j2")),
    ("templates/table.tex.j2", include_str!("../../../templates/table.tex.j2")),
];

/// The bundle's templates, claims and numbers of the paper that are not those of this program, relative to the project. Such
/// a file can make a table or a page say anything, and a template can keep whoever renders it busy for ever: nothing is made
/// with it again.
pub struct Foreign(BTreeSet<String>);

impl Foreign {
    /// Whether the bundle's file with this name is not this program's own.
    pub fn has(&self, file: &str) -> bool {
        self.0.contains(file)
    }
}

/// Compares the bundle's files with this program's own.
///
/// # Errors
/// If a member cannot be read.
pub fn check(bundle: &Bundle) -> anyhow::Result<(Foreign, Check)> {
    let mut check = Check::new("templates, claims and the paper's numbers against those of this program");
    let mut foreign = BTreeSet::new();
    let names = bundle.manifest.members.keys().filter_map(|name| Some((name, name.strip_prefix("project/")?)));
    let judging = |file: &str| file.starts_with("templates/") || FILES.iter().any(|(own, _)| *own == file);
    for (name, file) in names.filter(|(_, file)| judging(file)) {
        // One that is damaged was named before.
        let Some(bytes) = bundle.read(name)? else { continue };
        check.examined += 1;
        if !FILES.iter().any(|(own, text)| *own == file && text.as_bytes() == bytes) {
            check.unconfirmed.push(format!("`{name}` is not this program's own: nothing was made with it again"));
            foreign.insert(file.to_owned());
        }
    }
    Ok((Foreign(foreign), check))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A template that is new in the project is listed here.
    #[test]
    fn all_files_are_listed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let entries = std::fs::read_dir(root.join("templates")).unwrap().map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file()).map(|entry| entry.file_name());
        let names = files.map(|name| format!("templates/{}", name.to_str().unwrap()));
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".md")).collect();
        names.extend(["experiments/claims.toml", "experiments/reference.json"].map(str::to_owned));
        names.sort();
        assert_eq!(names, FILES.map(|(name, _)| name));
    }
}
