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

/// The modules that a line of code names behind `crate::`: one, or each of a list in braces.
fn named(line: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for behind in line.split("crate::").skip(1) {
        match behind.strip_prefix('{') {
            None => found.push(word(behind)),
            Some(list) => {
                let mut depth = 0;
                let mut first = true;
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
            }
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
