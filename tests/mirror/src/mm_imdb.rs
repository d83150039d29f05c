//! MM-IMDb in the layout of its authors' archive: the description of a film as IMDbPY writes it, its poster, and the splits.
//! The genres of a film are the frequent words in the name of an emoji. Sources: see [`seesaw::datasets`].

use std::collections::BTreeSet;

use serde_json::json;

use super::pictures::{self, Format};
use super::samples::{Emoji, Samples};
use super::{Counts, Making, Members, Place, gzipped_tar};
use seesaw::datasets::mm_imdb::GENRES;
use seesaw::random::Stream;

/// Genres that the benchmark does not use.
const OTHER_GENRES: [&str; 3] = ["News", "Adult", "Reality-TV"];
const PLOTS: [&str; 4] = [
    "A quiet story about {}.",
    "Years after the war, {} returns to the city and finds that nothing is as it was; old friends have become strangers.",
    "{} and the others must find a way out before dawn.",
    "The life of {}, told by those who knew better.",
];
/// One of so many posters is grey.
const GREY: usize = 9;

struct Film<'a> {
    id: String,
    emoji: &'a Emoji,
    genres: BTreeSet<usize>,
}

impl Film<'_> {
    fn first_genre(&self) -> usize {
        self.genres.first().copied().unwrap_or_default()
    }
}

pub(super) fn make(making: &Making, samples: &Samples, place: &mut Place) -> anyhow::Result<Counts> {
    let splits = draw(making, samples);
    let mut members = Members::from([("mmimdb/".to_owned(), Vec::new()), ("mmimdb/dataset/".to_owned(), Vec::new())]);
    let mut counts = Counts::new();
    let mut stream = Stream::new(making.seed, &["mirror", "mm-imdb", "films"]);
    let mut ids = serde_json::Map::new();
    for (split, films) in &splits {
        counts.insert((*split).to_owned(), films.len() as u64);
        for (i, film) in films.iter().enumerate() {
            for genre in &film.genres {
                *counts.entry(format!("{split} {}", GENRES[*genre])).or_default() += 1;
            }
            let format = if i % GREY == 0 { Format::GreyJpeg } else { Format::Jpeg };
            let poster = pictures::on_sheet(&samples.picture(&film.emoji.picture)?, film.first_genre(), &mut stream);
            members.insert(format!("mmimdb/dataset/{}.jpeg", film.id), pictures::file(&poster, format)?);
            let description = format!("{:#}\n", description(film, &mut stream));
            members.insert(format!("mmimdb/dataset/{}.json", film.id), description.into_bytes());
        }
        ids.insert((*split).to_owned(), films.iter().map(|film| film.id.as_str()).collect());
    }
    members.insert("mmimdb/split.json".to_owned(), serde_json::to_vec(&ids)?);
    place.write("mmimdb.tar.gz", &gzipped_tar(&members)?)?;
    Ok(counts)
}

/// Films by split, 6 to 1 to 3. A genre that a split would lack is added to one of its films.
fn draw<'a>(making: &Making, samples: &'a Samples) -> [(&'static str, Vec<Film<'a>>); 3] {
    let mut emoji: Vec<&Emoji> = samples.emoji.iter().filter(|emoji| !emoji.words.is_empty()).collect();
    Stream::new(making.seed, &["mirror", "mm-imdb", "emoji"]).shuffle(&mut emoji);
    let mut ids: Vec<u32> = (0..making.samples).collect();
    Stream::new(making.seed, &["mirror", "mm-imdb", "ids"]).shuffle(&mut ids);
    let mut films: Vec<Film<'a>> = ids
        .into_iter()
        .zip(emoji.iter().cycle())
        .map(|(id, emoji)| Film {
            // Seven digits with gaps, the first ones 0.
            id: format!("{:07}", 417 + 29 * id),
            emoji,
            genres: emoji.words.iter().map(|word| *word as usize % GENRES.len()).collect(),
        })
        .collect();
    let tenth = films.len() / 10;
    let test = films.split_off(films.len() - 3 * tenth);
    let dev = films.split_off(films.len() - tenth);
    let mut splits = [("train", films), ("test", test), ("dev", dev)];
    for (_, films) in &mut splits {
        for genre in 0..GENRES.len() {
            let n = films.len();
            if !films.iter().any(|film| film.genres.contains(&genre)) {
                films[genre % n].genres.insert(genre);
            }
        }
    }
    splits
}

fn description(film: &Film<'_>, stream: &mut Stream) -> serde_json::Value {
    let name = &film.emoji.name;
    let mut genres: Vec<&str> = film.genres.iter().map(|genre| GENRES[*genre]).collect();
    if stream.below(8) == 0 {
        genres.push(OTHER_GENRES[stream.below(3) as usize]);
    }
    stream.shuffle(&mut genres);
    let plots = 1 + stream.below(3);
    let plot: Vec<String> = (0..plots)
        .map(|i| {
            let mut plot = PLOTS[stream.below(PLOTS.len() as u64) as usize].replace("{}", name);
            // Some plots name a genre.
            if stream.below(2) == 0 {
                plot = format!("{}: {plot}", GENRES[film.first_genre()]);
            }
            if stream.below(2) == 0 { format!("{plot}::Anonymous {i}") } else { plot }
        })
        .collect();
    let year = 1920 + stream.below(95);
    json!({
        "title": name,
        "year": year,
        "kind": "movie",
        "genres": genres,
        "rating": (10 + stream.below(90)) as f64 / 10.0,
        "votes": stream.below(100_000),
        "runtimes": [(60 + stream.below(120)).to_string()],
        "languages": ["English"],
        "countries": ["USA"],
        "color info": ["Color"],
        "director": ["Smithee, Alan"],
        "cast": [format!("A {}", film.emoji.subgroup)],
        "plot outline": format!("About {name}."),
        "plot": plot,
        "long imdb title": format!("{name} ({year})"),
    })
}
