//! CUB-200-2011 and its captions in the layouts of their archives, with a few of the classes. Colours and captions correlate
//! with the class. Sources: see [`seesaw::datasets::cub`].

use super::pictures::{self, Format};
use super::samples::{Emoji, Samples};
use super::{Counts, Making, Members, Place, gzipped_tar};
use seesaw::random::Stream;

/// Classes of the dataset, the names of their folders of captions, and the emoji that stand for their birds.
const CLASSES: [(&str, &str, &str); 5] = [
    ("001.Black_footed_Albatross", "001.Black_footed_Albatross", "animal-bird"),
    ("009.Brewer_Blackbird", "009.Brewers_Blackbird", "animal-bug"),
    ("017.Cardinal", "017.Cardinal", "food-fruit"),
    ("047.American_Goldfinch", "047.American_Goldfinch", "animal-mammal"),
    ("200.Common_Yellowthroat", "200.Common_Yellowthroat", "animal-marine"),
];
const CAPTIONS: usize = 10;
/// As in the dataset: in lower case, with spaces around punctuation. `{}` is the bird.
const WORDINGS: [&str; 4] = [
    "this bird looks like a {} and has a short beak .",
    "a small {} with grey wings and a white belly .",
    "the bird has a crown that is black , and a {} .",
    "this is a {} with long tarsus and pointed bill",
];
/// One of so many pictures is grey.
const GREY: usize = 11;

struct Image<'a> {
    class: usize,
    name: String,
    emoji: &'a Emoji,
    train: bool,
}

impl Image<'_> {
    fn path(&self) -> String {
        format!("{}/{}.jpg", CLASSES[self.class].0, self.name)
    }
}

pub(super) fn make(making: &Making, samples: &Samples, place: &mut Place) -> anyhow::Result<Counts> {
    let images = draw(making, samples)?;
    let part = |train: bool| images.iter().filter(|image| image.train == train).count() as u64;
    let counts = [
        ("pictures", images.len() as u64),
        ("train", part(true)),
        ("test", part(false)),
        ("classes", CLASSES.len() as u64),
    ];
    place.write("CUB_200_2011.tgz", &gzipped_tar(&pictures_of(making, samples, &images)?)?)?;
    place.write("cvpr2016_cub.tar.gz", &gzipped_tar(&captions_of(making.seed, &images))?)?;
    Ok(counts.map(|(what, n)| (what.to_owned(), n)).into())
}

fn draw<'a>(making: &Making, samples: &'a Samples) -> anyhow::Result<Vec<Image<'a>>> {
    let mut images = Vec::new();
    for (class, (name, _, subgroup)) in CLASSES.iter().enumerate() {
        let mut pool: Vec<&Emoji> = samples.emoji.iter().filter(|emoji| emoji.subgroup == *subgroup).collect();
        anyhow::ensure!(!pool.is_empty(), "the offline benchmark has no emoji of the subgroup {subgroup}");
        Stream::new(making.seed, &["mirror", "cub-200-2011", name]).shuffle(&mut pool);
        let of_class = (making.samples as usize).div_ceil(CLASSES.len());
        for i in 0..of_class.min(making.samples as usize - images.len()) {
            let (_, species) = name.split_once('.').unwrap_or(("", name));
            let name = format!("{species}_{:04}_{}", i + 1, 1000 + 7 * images.len());
            images.push(Image { class, name, emoji: pool[i % pool.len()], train: i % 2 == 0 });
        }
    }
    Ok(images)
}

fn pictures_of(making: &Making, samples: &Samples, images: &[Image<'_>]) -> anyhow::Result<Members> {
    let mut stream = Stream::new(making.seed, &["mirror", "cub-200-2011", "sheets"]);
    let mut members =
        Members::from(["", "images/", "attributes/"].map(|folder| (format!("CUB_200_2011/{folder}"), Vec::new())));
    let (mut paths, mut labels, mut division) = (String::new(), String::new(), String::new());
    let number = |class: usize| CLASSES[class].0[..3].trim_start_matches('0');
    for (i, image) in images.iter().enumerate() {
        let picture = pictures::on_sheet(&samples.picture(&image.emoji.picture)?, 4 * image.class + 3, &mut stream);
        let format = if i % GREY == 0 { Format::GreyJpeg } else { Format::Jpeg };
        members.insert(format!("CUB_200_2011/images/{}", image.path()), pictures::file(&picture, format)?);
        paths += &format!("{} {}\n", i + 1, image.path());
        labels += &format!("{} {}\n", i + 1, number(image.class));
        division += &format!("{} {}\n", i + 1, u8::from(image.train));
    }
    let classes = (0..CLASSES.len()).map(|class| format!("{} {}\n", number(class), CLASSES[class].0)).collect();
    for (name, text) in [
        ("README", "An imitation for tests; it is nobody's data.\n".to_owned()),
        ("classes.txt", classes),
        ("images.txt", paths),
        ("image_class_labels.txt", labels),
        ("train_test_split.txt", division),
        ("attributes/image_attribute_labels.txt", "1 1 0 3 27.7080\n".to_owned()),
    ] {
        members.insert(format!("CUB_200_2011/{name}"), text.into_bytes());
    }
    Ok(members)
}

fn captions_of(seed: u64, images: &[Image<'_>]) -> Members {
    let mut stream = Stream::new(seed, &["mirror", "cub-200-2011", "captions"]);
    let mut members = Members::from(["", "text_c10/"].map(|folder| (format!("cvpr2016_cub/{folder}"), Vec::new())));
    for image in images {
        let (class, folder, _) = CLASSES[image.class];
        let mut lines = String::new();
        for _ in 0..CAPTIONS {
            let species = class[4..].replace('_', " ").to_lowercase();
            let bird = if stream.below(2) == 0 { species } else { image.emoji.name.to_lowercase() };
            lines += &WORDINGS[stream.below(WORDINGS.len() as u64) as usize].replace("{}", &bird);
            lines.push('\n');
        }
        members.insert(format!("cvpr2016_cub/text_c10/{folder}/{}.txt", image.name), lines.into_bytes());
        // Torch files, which no reader here needs.
        members.insert(format!("cvpr2016_cub/text_c10/{folder}.t7"), vec![4, 0, 0, 0]);
    }
    members
}
