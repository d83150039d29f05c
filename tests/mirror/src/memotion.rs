//! Memotion 7k in the layout of its archive: a list of labels with faults, and pictures with various extensions. Colours and
//! wordings correlate with the sentiment of a meme. Sources: see
//! [`seesaw::datasets::memotion`].

use super::pictures::{self, Format};
use super::samples::{Emoji, Samples};
use super::{Counts, Making, Members, Place, quoted};
use seesaw::random::Stream;

const FOLDER: &str = "memotion_dataset_7k";
/// By how often they are drawn.
const SENTIMENTS: [&str; 8] =
    ["positive", "neutral", "negative", "very_positive", "positive", "neutral", "very_negative", "positive"];
const HUMOUR: [&str; 4] = ["not_funny", "funny", "very_funny", "hilarious"];
const SARCASM: [&str; 4] = ["not_sarcastic", "general", "twisted_meaning", "very_twisted"];
const OFFENSIVE: [&str; 4] = ["not_offensive", "slight", "very_offensive", "hateful_offensive"];
const MOTIVATIONAL: [&str; 2] = ["not_motivational", "motivational"];

/// Texts of a negative, a neutral and a positive meme, then of any; `{}` is the emoji.
const WORDINGS: [&str; 6] = [
    "{} ruined my day, again",
    "just {}",
    "me when {} shows up: best day ever!",
    "{}",
    "nobody: ... {}",
    "one does not simply {}",
];

/// The indices of the memes with a fault.
const CUT: usize = 4;
const WITHOUT_PICTURE: usize = 9;
const BLANK: usize = 14;
const NOT_CORRECTED: usize = 19;
/// Has the source of a web page as its text.
const PAGE: usize = 24;

struct Meme<'a> {
    image: String,
    emoji: &'a Emoji,
    sentiment: &'static str,
    ocr: String,
    corrected: String,
}

/// 0 for the negative ones, 1 for neutral, 2 for the positive ones.
fn kind(sentiment: &str) -> usize {
    match sentiment {
        "negative" | "very_negative" => 0,
        "neutral" => 1,
        _ => 2,
    }
}

pub(super) fn make(making: &Making, samples: &Samples, place: &mut Place) -> anyhow::Result<Counts> {
    let memes = draw(making, samples);
    let mut members = Members::new();
    let mut stream = Stream::new(making.seed, &["mirror", "memotion", "sheets"]);
    for (i, meme) in memes.iter().enumerate() {
        let picture = pictures::on_sheet(&samples.picture(&meme.emoji.picture)?, 5 * kind(meme.sentiment), &mut stream);
        let format = match meme.image.rsplit('.').next() {
            _ if i == CUT => Format::CutJpeg,
            Some("png") => Format::Png,
            _ => Format::Jpeg,
        };
        if i != WITHOUT_PICTURE {
            members.insert(format!("{FOLDER}/images/{}", meme.image), pictures::file(&picture, format)?);
        }
    }
    let counts = [("rows", memes.len()), ("image names", memes.len()), ("pictures", members.len())];
    let counts = counts.map(|(what, n)| (what.to_owned(), n as u64));
    members.insert(format!("{FOLDER}/labels.csv"), labels(making.seed, &memes).into_bytes());
    place.zip("memotion.zip", &members)?;
    Ok(counts.into())
}

fn draw<'a>(making: &Making, samples: &'a Samples) -> Vec<Meme<'a>> {
    let mut emoji: Vec<&Emoji> = samples.emoji.iter().collect();
    Stream::new(making.seed, &["mirror", "memotion", "emoji"]).shuffle(&mut emoji);
    let mut stream = Stream::new(making.seed, &["mirror", "memotion", "memes"]);
    let mut memes = Vec::new();
    for (i, emoji) in (0..making.samples as usize).zip(emoji.iter().cycle()) {
        let sentiment = SENTIMENTS[i % SENTIMENTS.len()];
        let wording = match stream.below(2) {
            0 => kind(sentiment),
            _ => stream.below(WORDINGS.len() as u64) as usize,
        };
        let ending = ["jpg", "jpg", "png", "JPG", "jpeg"][stream.below(5) as usize];
        let ending = if i == CUT { "jpg" } else { ending };
        let text = WORDINGS[wording].replace("{}", &emoji.name);
        let corrected = match i {
            BLANK | NOT_CORRECTED => String::new(),
            PAGE => format!("<html>\n<body class=\"page\">{text}</body>\n</html>"),
            _ => text.clone(),
        };
        let ocr = if i == BLANK { String::new() } else { text.to_uppercase().replace('O', "0") };
        memes.push(Meme { image: format!("image_{}.{ending}", i + 1), emoji, sentiment, ocr, corrected });
    }
    memes
}

/// The list of labels. The first column of its header has no name.
fn labels(seed: u64, memes: &[Meme<'_>]) -> String {
    let header = "image_name,text_ocr,text_corrected,humour,sarcasm,offensive,motivational,overall_sentiment";
    let mut stream = Stream::new(seed, &["mirror", "memotion", "labels"]);
    let mut text = format!(",{header}\n");
    for (i, meme) in memes.iter().enumerate() {
        let mut answer = |answers: &[&'static str]| answers[stream.below(answers.len() as u64) as usize];
        let answers = [answer(&HUMOUR), answer(&SARCASM), answer(&OFFENSIVE), answer(&MOTIVATIONAL), meme.sentiment];
        let texts = format!("{},{}", quoted(&meme.ocr), quoted(&meme.corrected));
        text += &format!("{i},{},{texts},{}\n", meme.image, answers.join(","));
    }
    text
}
