//! CUB-200-2011 (Wah et al., 2011): photographs of birds of 200 species, with ten captions each (Reed et al., CVPR 2016).
//!
//! Two archives:
//!
//! | archive | what is read |
//! |---|---|
//! | `CUB_200_2011.tgz` | `images/CLASS/IMAGE.jpg`, and the lists `classes.txt`, `images.txt`, `image_class_labels.txt`, `train_test_split.txt`: a number and a value in each line |
//! | `cvpr2016_cub.tar.gz` | `text_c10/CLASS/IMAGE.txt`: a caption in each line |
//!
//! Pictures and captions are joined by the image's name alone: some classes are spelt otherwise in the captions
//! (`009.Brewers_Blackbird`, `009.Brewer_Blackbird`). The division into training and test is the official one; a share of
//! each class's training samples is drawn for validation.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::collect::Collector;
use super::held_out::{self, Percent};
use super::rows::{self, Fault, Rows};
use super::{Dataset, DatasetOptions, Picture, Pictures, Reader, Reading, Unit};
use crate::errors;
use crate::pictures::Decoding;
use crate::random::Stream;
use crate::settings::from_table;
use crate::terms::{Metric, TaskKind};

/// Pictures, classes and the official division.
pub const PICTURES: &str = "CUB_200_2011.tgz";
/// Captions.
pub const CAPTIONS: &str = "cvpr2016_cub.tar.gz";
/// The longest list, and the longest file of captions, in bytes.
const MOST_LIST: u64 = 64 << 20;
const MOST_CAPTIONS: u64 = 1 << 20;

pub(super) const READER: Reader = Reader {
    name: "cub-200-2011",
    manifest: "cub-200-2011",
    archives: &[PICTURES, CAPTIONS],
    pictures: Pictures::InTheWild,
    decoding: Decoding::PILLOW,
    task: TaskKind::Multiclass,
    metric: Metric::Accuracy,
    chance_alone: &[],
    unit: Unit::Sample,
    recipe: 2,
    options: |given| from_table(given).map(DatasetOptions::Cub),
    read,
};

/// How CUB-200-2011 is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Options {
    pub caption: Caption,
    /// By which captions are drawn, with `caption = "seeded"`.
    pub caption_seed: u64,
    /// The share of each class's training samples in percent [default: 10], and the seed.
    pub validation_percent: Percent,
    pub validation_seed: u64,
}

/// Which of a picture's captions is its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caption {
    #[default]
    First,
    /// All of them, one after the other; an encoder cuts what is too long for it.
    AllJoined,
    /// One of them, drawn for each picture.
    Seeded,
}

impl Options {
    /// The text that these captions, of which there are some, come to for an image.
    fn text(&self, image: &str, captions: &[String]) -> String {
        match self.caption {
            Caption::First => captions[0].clone(),
            Caption::AllJoined => captions.join(" "),
            Caption::Seeded => {
                let mut stream = Stream::new(self.caption_seed, &["cub-200-2011", "caption", image]);
                captions[stream.below(captions.len() as u64) as usize].clone()
            }
        }
    }
}

/// A list: numbers, each once, and what belongs to them.
type List = Rows<(u64, String)>;

/// What a walk over the archive of pictures finds.
#[derive(Default)]
struct Found {
    lists: BTreeMap<&'static str, List>,
    /// CLASS/IMAGE.jpg → member.
    pictures: BTreeMap<String, String>,
}

const LISTS: [&str; 4] = ["classes.txt", "images.txt", "image_class_labels.txt", "train_test_split.txt"];
const LISTS_HINT: &str = "expected Caltech's CUB_200_2011.tgz, with its folder `CUB_200_2011`; download it again";

/// An image as the lists have it.
struct Image<'a> {
    /// CLASS/IMAGE.jpg
    path: &'a str,
    /// Index into the classes.
    class: usize,
    train: bool,
}

fn read(reading: &Reading<'_>) -> anyhow::Result<Dataset> {
    let DatasetOptions::Cub(options) = reading.options else { anyhow::bail!("these are not CUB-200-2011's options") };
    let found = look(reading)?;
    let captions = captions(reading)?;
    let mut collector = Collector::default();
    let (classes, images) = images(&found, &mut collector).context(PICTURES)?;
    let part = |train: bool| images.iter().filter(|image| image.train == train).count() as u64;
    for (what, n) in [("train", part(true)), ("test", part(false)), ("classes", classes.len() as u64)] {
        collector.count(what, n);
    }
    collector.count("pictures", found.pictures.len() as u64);
    collector.count("files of captions", captions.len() as u64);
    let training = images.iter().enumerate().filter(|(_, image)| image.train);
    let training = training.map(|(at, image)| (classes[image.class], at));
    let (share, seed) = (options.validation_percent, options.validation_seed);
    let validation = held_out::validation(training, share, seed, "cub-200-2011");
    for (at, image) in images.iter().enumerate() {
        let Some(member) = found.pictures.get(image.path) else {
            collector.drop("no picture");
            continue;
        };
        let name = stem(image.path);
        let text = match captions.get(name) {
            None => Err("no captions"),
            Some(None) => Err("two files of captions"),
            Some(Some(captions)) if captions.is_empty() => Err("blank captions"),
            Some(Some(captions)) => Ok(options.text(name, captions)),
        };
        let split = held_out::split(image.train, validation.contains(&at));
        match text {
            Err(reason) => collector.drop(reason),
            Ok(text) => {
                let picture = Picture { archive: PICTURES.to_owned(), member: member.clone() };
                collector.push(split, name.to_owned(), &picture, &text, vec![image.class as u32]);
            }
        }
    }
    Ok(collector.into_dataset(TaskKind::Multiclass, classes.into_iter().map(str::to_owned).collect()))
}

/// The file's name without folder and ending.
fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.rsplit_once('.').map_or(file, |(name, _)| name)
}

fn look(reading: &Reading<'_>) -> anyhow::Result<Found> {
    let mut found = Found::default();
    reading.walk(PICTURES, &mut |entry, content| {
        let parts: Vec<&str> = entry.name.split('/').collect();
        match parts.as_slice() {
            [.., "images", class, file] => {
                found.pictures.insert(format!("{class}/{file}"), entry.name.clone());
            }
            [.., file] => {
                if let Some(name) = LISTS.iter().find(|name| *name == file) {
                    let list = list(&content.read_all(MOST_LIST)?);
                    list.check(&entry.name, LISTS_HINT)?;
                    anyhow::ensure!(found.lists.insert(name, list).is_none(), "there are two lists {name}");
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

/// Lines of a number and a value, which may hold spaces.
fn list(text: &[u8]) -> List {
    let mut seen = BTreeSet::new();
    Rows::of(rows::lines(text).map(|(line, text)| {
        let text = String::from_utf8_lossy(text);
        let fields = text.trim().split_once(' ').and_then(|(number, value)| Some((number.parse().ok()?, value.trim())));
        let row = match fields {
            None => Err(Fault::Form(format!("expected a number and a value, found {text:?}"))),
            Some((number, _)) if !seen.insert(number) => Err(Fault::Twice(number)),
            Some((number, value)) => Ok((number, value.to_owned())),
        };
        (line, row)
    }))
}

/// The names of the classes, and the images in the order of their numbers; those whose class or part the lists do not say
/// are counted.
fn images<'a>(found: &'a Found, collector: &mut Collector) -> anyhow::Result<(Vec<&'a str>, Vec<Image<'a>>)> {
    let mut list = |name: &str| -> anyhow::Result<BTreeMap<u64, &'a str>> {
        let list =
            found.lists.get(name).ok_or_else(|| errors::failed(format!("there is no list `{name}`"), LISTS_HINT))?;
        list.count_unreadable(collector);
        Ok(list.read.iter().map(|(number, value)| (*number, value.as_str())).collect())
    };
    let [classes, paths, labels, division] = LISTS.map(&mut list);
    let (classes, labels, division) = (classes?, labels?, division?);
    let place: BTreeMap<&str, usize> = classes.values().copied().zip(0..).collect();
    anyhow::ensure!(place.len() == classes.len(), "classes.txt names a class twice");
    let mut images = Vec::new();
    for (number, path) in paths? {
        let class = labels.get(&number).and_then(|label| classes.get(&label.parse().ok()?));
        let train = division.get(&number).and_then(|part| ["0", "1"].iter().position(|known| known == part));
        match (class, train) {
            (None, _) => collector.drop("no class"),
            (_, None) => collector.drop("neither for training nor for testing"),
            (Some(class), Some(train)) => images.push(Image { path, class: place[class], train: train == 1 }),
        }
    }
    Ok((classes.into_values().collect(), images))
}

/// Captions by the image's name, without blank ones; none where two files have that name, in different folders.
fn captions(reading: &Reading<'_>) -> anyhow::Result<BTreeMap<String, Option<Vec<String>>>> {
    let mut captions = BTreeMap::new();
    reading.walk(CAPTIONS, &mut |entry, content| {
        let parts: Vec<&str> = entry.name.split('/').collect();
        if let [.., "text_c10", _class, file] = parts.as_slice()
            && file.ends_with(".txt")
        {
            let text = content.read_all(MOST_CAPTIONS)?;
            let text = String::from_utf8_lossy(&text);
            let lines = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
            captions.entry(stem(file).to_owned()).and_modify(|several| *several = None).or_insert(Some(lines));
        }
        Ok(())
    })?;
    if captions.is_empty() {
        return Err(errors::failed(
            format!("{CAPTIONS} holds no `text_c10/CLASS/IMAGE.txt`"),
            "expected the archive of captions; see data-manifests/cub-200-2011.json",
        ));
    }
    Ok(captions)
}

#[cfg(test)]
mod tests;
