//! MM-IMDb (Arevalo et al., ICLR Workshops 2017): posters and plots of films, with their genres.
//!
//! `mmimdb.tar.gz` holds `mmimdb/split.json` (lists `train`, `dev`, `test` of seven-digit ids) and, for each film,
//! `mmimdb/dataset/ID.json` (what IMDbPY gave; `genres` and `plot` are used) and `mmimdb/dataset/ID.jpeg`. Of all genres
//! the 23 most frequent are labels, in the authors' order; a film that has none of them is left out. Source:
//! johnarevalo/gmu-mmimdb, `make_dataset.py`.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::collect::Collector;
use super::json;
use super::rows::Fault;
use super::{Dataset, DatasetOptions, Picture, Pictures, Reader, Reading, Unit};
use crate::pictures::Decoding;
use crate::settings::from_table;
use crate::terms::{Metric, Split, TaskKind};

/// Everything.
pub const ARCHIVE: &str = "mmimdb.tar.gz";
/// The longest description of a film, and of the splits, in bytes.
const MOST_FILM: u64 = 16 << 20;

/// The authors' order: by how often they occur.
pub const GENRES: [&str; 23] = [
    "Drama",
    "Comedy",
    "Romance",
    "Thriller",
    "Crime",
    "Action",
    "Adventure",
    "Horror",
    "Documentary",
    "Mystery",
    "Sci-Fi",
    "Fantasy",
    "Family",
    "Biography",
    "War",
    "History",
    "Music",
    "Animation",
    "Musical",
    "Western",
    "Sport",
    "Short",
    "Film-Noir",
];

pub(super) const READER: Reader = Reader {
    name: "mm-imdb",
    manifest: "mm-imdb",
    archives: &[ARCHIVE],
    pictures: Pictures::InTheWild,
    decoding: Decoding::PILLOW,
    task: TaskKind::Multilabel,
    metric: Metric::F1Macro,
    chance_alone: &[],
    unit: Unit::Sample,
    recipe: 3,
    options: |given| from_table(given).map(DatasetOptions::MmImdb),
    read,
};

/// How MM-IMDb is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Options {
    pub plot: Plot,
}

/// Which of a film's plots is its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plot {
    /// The one with the most characters, the first of equals (the authors, MMBT).
    #[default]
    Longest,
    /// The first one (MMF).
    First,
}

/// What is used of a film's description.
#[derive(Deserialize)]
struct Film {
    #[serde(default)]
    genres: Vec<String>,
    #[serde(default)]
    plot: Plots,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Plots {
    #[default]
    None,
    One(String),
    Several(Vec<String>),
}

impl Plots {
    fn choose(self, which: Plot) -> Option<String> {
        let plots = match self {
            Plots::None => Vec::new(),
            Plots::One(plot) => vec![plot],
            Plots::Several(plots) => plots,
        };
        match which {
            Plot::First => plots.into_iter().next(),
            Plot::Longest => plots.into_iter().rev().max_by_key(|plot| plot.chars().count()),
        }
    }
}

/// Ids by split.
#[derive(Deserialize)]
struct Splits {
    train: Vec<String>,
    dev: Vec<String>,
    test: Vec<String>,
}

/// The genres' numbers, ascending, and the chosen plot; or why the description cannot be read.
type Described = Result<(Vec<u32>, Option<String>), Fault>;

/// What a walk over the archive finds.
#[derive(Default)]
struct Found {
    /// The folder of `split.json`, and what it says.
    splits: Option<(String, Splits)>,
    /// By their path without the ending.
    films: BTreeMap<String, Described>,
    /// Members, by their path without the ending: a copy in another folder is no film's poster.
    posters: BTreeMap<String, String>,
}

fn read(reading: &Reading<'_>) -> anyhow::Result<Dataset> {
    let DatasetOptions::MmImdb(options) = reading.options else { anyhow::bail!("these are not MM-IMDb's options") };
    let mut found = look(reading, options.plot)?;
    let (root, splits) =
        found.splits.take().with_context(|| format!("{ARCHIVE} should hold `mmimdb/split.json`, and does not"))?;
    let mut collector = Collector::default();
    for (split, name, ids) in
        [(Split::Train, "train", splits.train), (Split::Val, "dev", splits.dev), (Split::Test, "test", splits.test)]
    {
        for id in ids {
            collector.count(name, 1);
            let place = format!("{root}dataset/{id}");
            let (genres, plot) = match found.films.remove(&place) {
                Some(Ok(film)) => film,
                Some(Err(fault)) => {
                    collector.drop(reason(&fault));
                    continue;
                }
                None => {
                    collector.drop("no description");
                    continue;
                }
            };
            for genre in &genres {
                collector.count(format!("{name} {}", GENRES[*genre as usize]), 1);
            }
            let poster = found.posters.get(&place);
            let plot = plot.filter(|plot| !plot.trim().is_empty());
            match (poster, plot) {
                (None, _) => collector.drop("no poster"),
                (_, None) => collector.drop("no plot"),
                _ if genres.is_empty() => collector.drop("none of the 23 genres"),
                (Some(member), Some(plot)) => {
                    let picture = Picture { archive: ARCHIVE.to_owned(), member: member.clone() };
                    collector.push(split, id, &picture, &plot, genres);
                }
            }
        }
    }
    let here = |place: &&String| place.rsplit_once('/').map_or("", |(folder, _)| folder) == format!("{root}dataset");
    found.films.keys().filter(here).for_each(|_| collector.drop("film in no split"));
    Ok(collector.into_dataset(TaskKind::Multilabel, GENRES.map(str::to_owned).to_vec()))
}

/// By which a description that cannot be read is counted.
fn reason(fault: &Fault) -> &'static str {
    match fault {
        Fault::NotJson(_) => "description that is not JSON",
        _ => "description with a missing or wrong field",
    }
}

fn look(reading: &Reading<'_>, which: Plot) -> anyhow::Result<Found> {
    let mut found = Found::default();
    reading.walk(ARCHIVE, &mut |entry, content| {
        let (folder, file) =
            entry.name.rsplit_once('/').map_or(("", entry.name.as_str()), |(folder, file)| (folder, file));
        let (id, ending) = file.rsplit_once('.').unwrap_or((file, ""));
        let place = entry.name.trim_end_matches(ending).trim_end_matches('.').to_owned();
        match ending {
            "json" if id == "split" => {
                let splits = json::parse(&content.read_all(MOST_FILM)?).with_context(|| entry.name.clone())?;
                let root = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                anyhow::ensure!(
                    found.splits.replace((root, splits)).is_none(),
                    "there are two files split.json; leave one in place"
                );
            }
            // A film that cannot be understood is counted when its split asks for it, and ends nothing.
            "json" if is_id(id) => {
                let film = json::parse::<Film>(&content.read_all(MOST_FILM)?).map(|film| {
                    let numbers = GENRES.iter().zip(0..).filter(|(genre, _)| film.genres.iter().any(|g| g == *genre));
                    (numbers.map(|(_, number)| number).collect(), film.plot.choose(which))
                });
                found.films.insert(place, film.map_err(Fault::from));
            }
            "jpeg" | "jpg" if is_id(id) => drop(found.posters.insert(place, entry.name.clone())),
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

fn is_id(name: &str) -> bool {
    name.len() == 7 && name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
