//! UPMC Food-101 in the layout of Kaggle's copy, with faults like those of its pictures and rows, and the two published
//! validation splits. Sources: see [`seesaw::datasets`].

use serde_json::json;

use super::pictures::{self, Format};
use super::samples::{Emoji, Samples};
use super::{Counts, Making, Members, Place, quoted};
use seesaw::random::Stream;

/// Classes of the dataset, and the emoji that stand for their dishes.
const CLASSES: [(&str, &str); 10] = [
    ("apple_pie", "food-fruit"),
    ("baby_back_ribs", "animal-mammal"),
    ("cheese_plate", "arrow"),
    ("club_sandwich", "food-prepared"),
    ("cup_cakes", "sky & weather"),
    ("escargots", "animal-bug"),
    ("greek_salad", "food-vegetable"),
    ("peking_duck", "animal-bird"),
    ("spaghetti_carbonara", "musical-instrument"),
    ("sushi", "animal-marine"),
];

/// Titles like those of recipes; `{}` is the dish. Some need quotes in a file of comma-separated values.
const WORDINGS: [&str; 8] = [
    "{} recipe",
    "How to make {} at home, step by step",
    "Easy {} | 30 minute meals",
    "\"{}\" - My Kitchen, My Rules",
    "{}: the best, ever",
    "RT @cook: {} #dinner http://example.org/r",
    "{} &laquo; The Daily Plate",
    "Grandma's {} and more",
];

/// The training pictures with a fault, by their index.
const FAULTS: [(usize, Format); 6] = [
    (1, Format::CutJpeg),
    (2, Format::Empty),
    (3, Format::Png),
    (4, Format::Gif),
    (5, Format::GreyJpeg),
    (6, Format::CmykJpeg),
];
/// The training sample whose picture has no row, and the one with a blank title.
const WITHOUT_ROW: usize = 7;
const BLANK: usize = 8;

struct Sample<'a> {
    class: &'static str,
    /// The class's.
    number: usize,
    file: String,
    title: String,
    emoji: &'a Emoji,
    format: Format,
}

/// The training samples and the test samples, 3 to 1.
struct Parts<'a> {
    train: Vec<Sample<'a>>,
    test: Vec<Sample<'a>>,
}

pub(super) fn make(making: &Making, samples: &Samples, place: &mut Place) -> anyhow::Result<Counts> {
    let parts = draw(making, samples)?;
    let mut members = Members::new();
    let mut counts = Counts::new();
    for (part, of_part) in [("test", &parts.test), ("train", &parts.train)] {
        let mut stream = Stream::new(making.seed, &["mirror", "food101", "sheets", part]);
        for sample in of_part {
            let picture = pictures::on_sheet(&samples.picture(&sample.emoji.picture)?, sample.number, &mut stream);
            let name = format!("images/{part}/{}/{}", sample.class, sample.file);
            members.insert(name, pictures::file(&picture, sample.format)?);
        }
        let rows = rows(part, of_part);
        counts.insert(format!("{part} pictures"), of_part.len() as u64);
        counts.insert(format!("{part} rows"), rows.len() as u64);
        members.insert(format!("texts/{part}_titles.csv"), rows.concat().into_bytes());
    }
    counts.insert("classes".to_owned(), CLASSES.len() as u64);
    let both = [&parts.train[..], &parts.test[..]];
    for (name, parts) in [("train pictures", &both[..1]), ("test pictures", &both[1..]), ("pictures", &both)] {
        let mut of_class = [0; CLASSES.len()];
        parts.iter().copied().flatten().for_each(|sample| of_class[sample.number] += 1);
        for (which, count) in [("smallest", of_class.iter().min()), ("largest", of_class.iter().max())] {
            counts.insert(format!("{name} of the {which} class"), count.copied().unwrap_or(0));
        }
    }
    place.zip("upmcfood101.zip", &members)?;
    let validation = validation(making.seed, &parts.train);
    place.write("food101.map.split.json", map_split(&parts, &validation).as_bytes())?;
    place.write("food101.qmf.dev.jsonl", qmf_dev(&parts.train, &validation).as_bytes())?;
    Ok(counts)
}

fn draw<'a>(making: &Making, samples: &'a Samples) -> anyhow::Result<Parts<'a>> {
    let mut pools = Vec::new();
    for (class, subgroup) in CLASSES {
        let mut pool: Vec<&Emoji> = samples.emoji.iter().filter(|emoji| emoji.subgroup == subgroup).collect();
        anyhow::ensure!(!pool.is_empty(), "the offline benchmark has no emoji of the subgroup {subgroup}");
        Stream::new(making.seed, &["mirror", "food101", class]).shuffle(&mut pool);
        pools.push(pool);
    }
    let mut stream = Stream::new(making.seed, &["mirror", "food101", "titles"]);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for i in 0..making.samples as usize {
        let (class, round) = (i % CLASSES.len(), i / CLASSES.len());
        let emoji = pools[class][round % pools[class].len()];
        let name = CLASSES[class].0;
        // Numbers have gaps, and a few names have two numbers.
        let file = match round % 20 {
            13 => format!("{name}_{}-2.jpg", 2 * round),
            _ => format!("{name}_{}.jpg", 2 * round),
        };
        let title = title(name, &emoji.name, &mut stream);
        let part = if round % 4 == 3 { &mut test } else { &mut train };
        let fault = FAULTS.iter().find(|(at, _)| round % 4 != 3 && *at == part.len());
        let format = fault.map_or(Format::Jpeg, |(_, format)| *format);
        part.push(Sample { class: name, number: class, file, title, emoji, format });
    }
    train[BLANK].title = String::new();
    Ok(Parts { train, test })
}

/// Half of the titles give the class away.
fn title(class: &str, dish: &str, stream: &mut Stream) -> String {
    let wording = WORDINGS[stream.below(WORDINGS.len() as u64) as usize];
    let leak = if stream.below(2) == 0 { format!("{} with {dish}", class.replace('_', " ")) } else { dish.to_owned() };
    wording.replace("{}", &leak)
}

/// Without a header: file, title, class. One more row has no picture.
fn rows(part: &str, samples: &[Sample<'_>]) -> Vec<String> {
    let train = part == "train";
    let with_row = samples.iter().enumerate().filter(|(i, _)| !train || *i != WITHOUT_ROW);
    let row = |file: &str, title: &str, class: &str| format!("{file},{},{class}\n", quoted(title));
    let mut rows: Vec<String> = with_row.map(|(_, sample)| row(&sample.file, &sample.title, sample.class)).collect();
    if train {
        let class = CLASSES[0].0;
        rows.insert(rows.len() / 2, row(&format!("{class}_99999.jpg"), "a page without a picture", class));
    }
    rows
}

/// A tenth of the training samples, by their indices.
fn validation(seed: u64, train: &[Sample<'_>]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..train.len()).collect();
    Stream::new(seed, &["mirror", "food101", "validation"]).shuffle(&mut places);
    places.truncate(train.len().div_ceil(10));
    places.sort_unstable();
    places
}

/// YiLunLee/missing_aware_prompts, `datasets/Food101/split.json`: file names by split.
fn map_split(parts: &Parts<'_>, validation: &[usize]) -> String {
    let files = |samples: &[Sample<'_>], keep: &dyn Fn(usize) -> bool| -> Vec<String> {
        let kept = samples.iter().enumerate().filter(|(i, _)| keep(*i));
        kept.map(|(_, sample)| sample.file.clone()).collect()
    };
    let held_out = |i: usize| validation.binary_search(&i).is_ok();
    json!({
        "train": files(&parts.train, &|i| !held_out(i)),
        "val": files(&parts.train, &held_out),
        "test": files(&parts.test, &|_| true),
    })
    .to_string()
}

/// QingyangZhang/QMF, `text-image-classification/datasets/food101/dev.jsonl`.
fn qmf_dev(train: &[Sample<'_>], validation: &[usize]) -> String {
    let line = |sample: &Sample<'_>| {
        let text: String = sample.title.to_lowercase().chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect();
        json!({
            "id": format!("{}_{}", sample.class, sample.file),
            "label": sample.class,
            "text": text,
            "img": format!("images/train/{}/{}", sample.class, sample.file),
        })
    };
    validation.iter().map(|&i| format!("{}\n", line(&train[i]))).collect()
}
