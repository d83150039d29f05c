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
use super::{Dataset, DatasetOptions, Picture, Pictures, Reader, Reading, Unit};
use crate::pictures::Decoding;
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
    unit: Unit::Sample,
    recipe: 2,
    options: |given| given.try_into().map(DatasetOptions::MmImdb),
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

/// What a walk over the archive finds, by id.
#[derive(Default)]
struct Found {
    splits: Option<Splits>,
    /// The genres' numbers, ascending, and the chosen plot.
    films: BTreeMap<String, (Vec<u32>, Option<String>)>,
    /// Members.
    posters: BTreeMap<String, String>,
}

fn read(reading: &Reading<'_>) -> anyhow::Result<Dataset> {
    let DatasetOptions::MmImdb(options) = reading.options else { anyhow::bail!("these are not MM-IMDb's options") };
    let mut found = look(reading, options.plot)?;
    let splits =
        found.splits.take().with_context(|| format!("{ARCHIVE} should hold `mmimdb/split.json`, and does not"))?;
    let mut collector = Collector::default();
    for (split, name, ids) in
        [(Split::Train, "train", splits.train), (Split::Val, "dev", splits.dev), (Split::Test, "test", splits.test)]
    {
        for id in ids {
            collector.count(name, 1);
            let Some((genres, plot)) = found.films.remove(&id) else {
                collector.drop("no description that can be read");
                continue;
            };
            for genre in &genres {
                collector.count(format!("{name} {}", GENRES[*genre as usize]), 1);
            }
            let poster = found.posters.get(&id);
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
    found.films.values().for_each(|_| collector.drop("film in no split"));
    Ok(collector.into_dataset(TaskKind::Multilabel, GENRES.map(str::to_owned).to_vec()))
}

fn look(reading: &Reading<'_>, which: Plot) -> anyhow::Result<Found> {
    let mut found = Found::default();
    reading.walk(ARCHIVE, &mut |entry, content| {
        let file = entry.name.rsplit('/').next().unwrap_or_default();
        let (id, ending) = file.rsplit_once('.').unwrap_or((file, ""));
        match ending {
            "json" if id == "split" => {
                let text = content.read_all(MOST_FILM)?;
                found.splits = Some(serde_json::from_slice(&text).with_context(|| entry.name.clone())?);
            }
            "json" if is_id(id) => {
                // A film that cannot be understood is missed when its split asks for it, and ends nothing.
                let Ok(film) = serde_json::from_slice::<Film>(&content.read_all(MOST_FILM)?) else { return Ok(()) };
                let numbers = GENRES.iter().zip(0..).filter(|(genre, _)| film.genres.iter().any(|g| g == *genre));
                let genres = numbers.map(|(_, number)| number).collect();
                found.films.insert(id.to_owned(), (genres, film.plot.choose(which)));
            }
            "jpeg" | "jpg" if is_id(id) => drop(found.posters.insert(id.to_owned(), entry.name.clone())),
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
