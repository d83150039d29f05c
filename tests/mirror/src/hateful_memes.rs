//! Hateful Memes in the layout of the challenge's second phase: lists of JSON lines, and PNG pictures in a tar inside the
//! zip. The label of a meme is whether its text names its picture. Every picture and every name occurs with both labels, so
//! that no modality is enough by itself; colours and wordings correlate with the label. Sources: see [`seesaw::datasets`].

use serde_json::json;

use super::pictures::{self, Format};
use super::samples::{Pair, Samples};
use super::{Counts, Making, Members, Place, gzipped_tar};
use seesaw::random::Stream;

const WORDINGS: [&str; 5] =
    ["{}", "when you see {}", "they said {}, and nobody laughed", "{} be like: \"what?\"", "this is {}"];
/// Ids have up to five digits.
const MOST_ID: u32 = 100_000;
/// One of so many pictures keeps its transparency.
const TRANSPARENT: usize = 7;
/// The colours and wordings that correlate with a label.
const MATCHING: usize = 2;
const OTHER: usize = 4;

struct Meme<'a> {
    id: u32,
    pair: &'a Pair,
    text: String,
    file: Vec<u8>,
}

impl Meme<'_> {
    fn image(&self) -> String {
        format!("img/{:05}.png", self.id)
    }

    fn line(&self) -> String {
        let label = u32::from(self.pair.matches);
        format!("{}\n", json!({ "id": self.id, "img": self.image(), "label": label, "text": self.text }))
    }
}

pub(super) fn make(making: &Making, samples: &Samples, place: &mut Place) -> anyhow::Result<Counts> {
    let memes = draw(making, samples)?;
    let mut images = Members::from([("img/".to_owned(), Vec::new())]);
    images.extend(memes.iter().map(|meme| (meme.image(), meme.file.clone())));
    let mut members = Members::from([
        ("data/img.tar.gz".to_owned(), gzipped_tar(&images)?),
        ("data/LICENSE.txt".to_owned(), b"An imitation for tests; it is nobody's data.\n".to_vec()),
        ("data/README.md".to_owned(), b"Lists of memes: id, img, label, text.\n".to_vec()),
    ]);
    let mut counts = Counts::new();
    for (list, range) in lists(memes.len()) {
        counts.insert(list.to_owned(), range.len() as u64);
        let lines: String = memes[range].iter().map(Meme::line).collect();
        members.insert(format!("data/{list}.jsonl"), lines.into_bytes());
    }
    place.zip("hateful_memes.zip", &members)?;
    Ok(counts)
}

/// The memes of each list. The two lists for validation share four fifths.
fn lists(memes: usize) -> [(&'static str, std::ops::Range<usize>); 5] {
    let tenth = memes / 10;
    let (train, shared) = (6 * tenth, tenth * 4 / 5);
    let test = train + 2 * tenth - shared;
    [
        ("train", 0..train),
        ("dev_seen", train..train + tenth),
        ("dev_unseen", train + tenth - shared..test),
        ("test_seen", test..test + tenth),
        ("test_unseen", test + tenth..memes),
    ]
}

fn draw<'a>(making: &Making, samples: &'a Samples) -> anyhow::Result<Vec<Meme<'a>>> {
    let mut pairs: Vec<&Pair> = samples.pairs.iter().collect();
    Stream::new(making.seed, &["mirror", "hateful-memes", "pairs"]).shuffle(&mut pairs);
    let mut ids: Vec<u32> = (1..MOST_ID).collect();
    Stream::new(making.seed, &["mirror", "hateful-memes", "ids"]).shuffle(&mut ids);
    let mut stream = Stream::new(making.seed, &["mirror", "hateful-memes", "memes"]);
    let mut memes = Vec::new();
    for (i, id) in ids.into_iter().take(making.samples as usize).enumerate() {
        let pair = pairs[i % pairs.len()];
        let kind = if pair.matches { MATCHING } else { OTHER };
        let wording = match stream.below(3) {
            0 => WORDINGS[kind % WORDINGS.len()],
            _ => WORDINGS[stream.below(WORDINGS.len() as u64) as usize],
        };
        let file = match i % TRANSPARENT {
            0 => samples.file(&pair.picture)?,
            _ => pictures::file(&pictures::on_sheet(&samples.picture(&pair.picture)?, kind, &mut stream), Format::Png)?,
        };
        memes.push(Meme { id, pair, text: wording.replace("{}", &pair.name), file });
    }
    Ok(memes)
}
