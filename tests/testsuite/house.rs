//! The table of rooms in `src/lib.rs` is true: the source uses what it says, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A room or a module of the ground floor → the rooms that its row names.
type Rooms = BTreeMap<String, BTreeSet<String>>;

/// A path from one module to another: (from, to) → the first place where it stands.
type Arrows = BTreeMap<(String, String), String>;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms from the top down, what each may use, and the ground floor, as `src/lib.rs` says.
fn table() -> (Vec<String>, Rooms, BTreeSet<String>) {
    let text = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let names = |text: &str| -> Vec<String> {
        let pieces = text.split('`').skip(1).step_by(2);
        pieces.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')).map(str::to_owned).collect()
    };
    let (mut order, mut rooms) = (Vec::new(), Rooms::new());
    for row in text.lines().filter_map(|line| line.strip_prefix("//! | [`")) {
        let (room, rest) = row.split_once("`] |").expect("a row begins with its room");
        let uses = rest.trim_end_matches(" |").rsplit('|').next().unwrap_or_default();
        order.push(room.to_owned());
        rooms.insert(room.to_owned(), names(uses).into_iter().collect());
    }
    let ground = text.split_once("//! The ground floor").expect("the ground floor has a sentence").1;
    let sentence = ground.split_once("\n\n").expect("the documentation ends").0;
    (order, rooms, names(sentence).into_iter().collect())
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => rust_files(&path, files),
            false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            false => {}
        }
    }
}

/// The modules at the beginning of a path, behind its `crate::` or `super::`: one, or each of a list in braces.
fn listed(path: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    let Some(list) = path.strip_prefix('{') else { return vec![word(path)] };
    let (mut found, mut depth, mut first) = (Vec::new(), 0, true);
    for (at, c) in list.char_indices() {
        if first && depth == 0 && c.is_ascii_lowercase() {
            found.push(word(&list[at..]));
            first = false;
        }
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => first = true,
            _ => {}
        }
    }
    found
}

/// The modules that a line of code names behind `crate::`.
fn named(line: &str) -> Vec<String> {
    line.split("crate::").skip(1).flat_map(listed).collect()
}

/// The modules that a line of code names behind `super::`, and how often `super::` stands before each.
fn named_above(line: &str) -> Vec<(usize, String)> {
    let (mut found, mut levels) = (Vec::new(), 0);
    for path in line.split("super::").skip(1) {
        levels += 1;
        if !path.is_empty() {
            found.extend(listed(path).into_iter().map(|name| (levels, name)));
            levels = 0;
        }
    }
    found
}

/// Every arrow of the source, comments left out. `use` statements are read whole, however many lines they take.
fn arrows() -> Arrows {
    let mut files = Vec::new();
    rust_files(&source(), &mut files);
    files.sort();
    let mut arrows = Arrows::new();
    for file in files {
        let name = file.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
        let room = name.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        if ["lib", "main", "full"].contains(&room.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let mut statement = String::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            statement += line;
            let is_open = statement.trim_start().trim_start_matches("pub ").starts_with("use ");
            if is_open && !line.trim_end().ends_with(';') {
                continue;
            }
            for to in named(&statement).into_iter().filter(|to| *to != room) {
                arrows.entry((room.clone(), to)).or_insert_with(|| format!("src/{name}:{}", number + 1));
            }
            statement.clear();
        }
    }
    arrows
}

#[test]
fn paths_are_found_in_code() {
    assert_eq!(
        named("use crate::{datasets::{Sample, Split}, terms::Metric, errors};"),
        ["datasets", "terms", "errors"]
    );
    assert_eq!(named("let a = crate::steps::execute(crate::engine::key);"), ["steps", "engine"]);
    assert!(named("let bundle = unpack(file);").is_empty());
    let above = named_above("use super::{json, rows::Fault}; let a = super::super::terms::check(super::Kind);");
    let above: Vec<(usize, &str)> = above.iter().map(|(levels, name)| (*levels, name.as_str())).collect();
    assert_eq!(above, [(1, "json"), (1, "rows"), (2, "terms"), (1, "")]);
}

/// Two files of a folder that use each other are one file in two places: what both need belongs into a file of its own.
#[test]
fn files_of_a_folder_use_each_other_in_one_direction() {
    let mut files = Vec::new();
    rust_files(&source(), &mut files);
    // Folder → module → modules of the same folder that it uses.
    let mut folders: BTreeMap<PathBuf, Rooms> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.ends_with("tests.rs") && !file.iter().any(|part| part == "tests")) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let module = if file.ends_with("mod.rs") { file.parent().unwrap().to_owned() } else { file.with_extension("") };
        for (levels, to) in named_above(&code) {
            let from: Vec<&Path> = module.ancestors().take(levels + 1).collect();
            let [.., from, folder] = from[..] else { continue };
            if folder.starts_with(source()) && (folder.join(&to).is_dir() || folder.join(format!("{to}.rs")).is_file())
            {
                let from = from.file_name().unwrap().to_str().unwrap().to_owned();
                folders.entry(folder.to_owned()).or_default().entry(from).or_default().insert(to);
            }
        }
    }
    assert!(folders.len() > 10, "the paths are read");
    for (folder, mut uses) in folders {
        // Takes away what uses nothing that is left, until nothing or a circle is left.
        loop {
            let left: BTreeSet<String> = uses.keys().cloned().collect();
            uses.retain(|from, to| to.iter().any(|to| to != from && left.contains(to)));
            if uses.len() == left.len() {
                break;
            }
        }
        assert!(uses.is_empty(), "these files of {} use each other in a circle: {uses:?}", folder.display());
    }
}

/// Each row stands below the rows that name it, so that there are no circles; each module has a row.
#[test]
fn the_table_goes_from_the_top_down() {
    let (order, rooms, ground) = table();
    for (at, room) in order.iter().enumerate() {
        for used in &rooms[room] {
            let place = order.iter().position(|other| other == used);
            assert!(place.is_some_and(|place| place > at), "in src/lib.rs, `{used}` should stand below `{room}`");
        }
    }
    for entry in std::fs::read_dir(source()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        let is_known =
            ["lib", "main", "full"].contains(&module) || rooms.contains_key(module) || ground.contains(module);
        assert!(is_known, "src/{name} is neither a room of the table in src/lib.rs nor on its ground floor");
    }
}

#[test]
fn the_source_keeps_to_the_table() {
    let (_, rooms, ground) = table();
    let arrows = arrows();
    let mut wrong = Vec::new();
    for ((from, to), place) in arrows.iter().filter(|((from, _), _)| from != "testing") {
        let allowed = match rooms.get(from) {
            Some(uses) => uses.contains(to) || ground.contains(to),
            None => ground.contains(to),
        };
        if !allowed && (rooms.contains_key(to) || ground.contains(to)) {
            wrong.push(format!("{place}: `{from}` uses `{to}`"));
        }
    }
    assert!(
        wrong.is_empty(),
        "the table in src/lib.rs does not allow:\n  {}\nMove what is needed to a room below both, or hand it over as \
         data. If the arrow has a good reason, add it to the row and say why in the commit.",
        wrong.join("\n  ")
    );
    let unused = rooms.iter().flat_map(|(from, uses)| uses.iter().map(move |to| (from.clone(), to.clone())));
    let unused: Vec<_> = unused.filter(|arrow| !arrows.contains_key(arrow)).collect();
    assert!(unused.is_empty(), "the table in src/lib.rs names arrows that the source no longer has: {unused:?}");
}

/// The names of functions of the standard library that take a path and whose errors do not name it.
const OPENING: [&str; 2] = ["fs::", "File::"];

/// The places in code where an error of the filesystem is passed on without the path. A function that returns an
/// `io::Result` leaves it to its caller.
fn without_path(code: &str) -> Vec<&str> {
    let calls = OPENING.iter().flat_map(|name| code.match_indices(name)).filter_map(|(start, name)| {
        let arguments =
            start + name.len() + code[start + name.len()..].find(|c: char| !c.is_alphanumeric() && c != '_')?;
        let mut depth = 0;
        let end = code[arguments..].find(|c| {
            depth += match c {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth == 0
        })?;
        let end = arguments + end + 1;
        let header = code[..start].rsplit_once("fn ")?.1.split_once('{')?.0;
        (end > arguments + 1 && code[end..].starts_with('?') && !header.contains("io::Result"))
            .then(|| &code[start..end])
    });
    calls.collect()
}

/// An error that says "No such file or directory" helps nobody.
#[test]
fn errors_of_the_filesystem_name_the_path() {
    let found = |body: &str| without_path(&format!("fn f() -> anyhow::Result<()> {{ {body} }}")).len();
    assert_eq!(found("let a = std::fs::read(path.join(\"a\"))?;"), 1);
    assert_eq!(found("File::open(path)?.metadata()"), 1);
    assert_eq!(found("std::fs::read(path).with_context(place)?;"), 0);
    assert_eq!(without_path("fn f() -> io::Result<()> { fs::read(path)? }"), [""; 0]);
    let mut files = Vec::new();
    rust_files(&source(), &mut files);
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("tests.rs") && !file.iter().any(|part| part == "tests")) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        wrong.extend(without_path(code).iter().map(|call| format!("{}: {call}", file.display())));
    }
    assert!(wrong.is_empty(), "add the path to these errors with `with_context`:\n{}", wrong.join("\n"));
}
