use super::*;
use crate::terms::Split;
use crate::testing::read_zips;

/// Classes, images and their parts; captions of a class that is spelt otherwise there.
struct Made {
    pictures: Vec<(String, Vec<u8>)>,
    captions: Vec<(String, Vec<u8>)>,
}

impl Made {
    /// `per_class` images of each of two classes, of which the last third is for testing.
    fn new(per_class: usize) -> Self {
        let classes = ["001.Albatross", "009.Brewer_Blackbird"];
        let spelt = ["001.Albatross", "009.Brewers_Blackbird"];
        let (mut images, mut labels, mut division) = (String::new(), String::new(), String::new());
        let (mut pictures, mut captions) = (Vec::new(), Vec::new());
        for number in 1..=2 * per_class {
            let (class, at) = ((number - 1) / per_class, (number - 1) % per_class);
            let name = format!("{}_{number:04}", &classes[class][4..]);
            images += &format!("{number} {}/{name}.jpg\n", classes[class]);
            labels += &format!("{number} {}\n", class + 1);
            division += &format!("{number} {}\n", u8::from(3 * at < 2 * per_class));
            pictures.push((format!("CUB_200_2011/images/{}/{name}.jpg", classes[class]), b"jpg".to_vec()));
            let lines: String = (0..10).map(|i| format!("bird {number} caption {i} .\n")).collect();
            captions.push((format!("cvpr2016_cub/text_c10/{}/{name}.txt", spelt[class]), lines.into_bytes()));
            captions.push((format!("cvpr2016_cub/text_c10/{}/{name}.h5", spelt[class]), b"no captions".to_vec()));
        }
        let list = classes.iter().zip(1..).map(|(class, number)| format!("{number} {class}\n")).collect::<String>();
        for (name, text) in [
            ("classes.txt", list),
            ("images.txt", images),
            ("image_class_labels.txt", labels),
            ("train_test_split.txt", division),
            ("attributes/class_attribute_labels.txt", "1 2 3\n".to_owned()),
        ] {
            pictures.push((format!("CUB_200_2011/{name}"), text.into_bytes()));
        }
        Made { pictures, captions }
    }

    fn change(mut self, member: &str, change: impl FnOnce(String) -> String) -> Self {
        let found = self.pictures.iter_mut().chain(&mut self.captions).find(|(name, _)| name.contains(member));
        let (_, bytes) = found.unwrap();
        *bytes = change(String::from_utf8(bytes.clone()).unwrap()).into_bytes();
        self
    }

    fn without(mut self, member: &str) -> Self {
        let all = self.pictures.len() + self.captions.len();
        self.pictures.retain(|(name, _)| !name.contains(member));
        self.captions.retain(|(name, _)| !name.contains(member));
        assert!(self.pictures.len() + self.captions.len() < all);
        self
    }

    fn read(&self, options: &str) -> anyhow::Result<Dataset> {
        fn members(of: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
            of.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect()
        }
        let (pictures, captions) = (members(&self.pictures), members(&self.captions));
        read_zips("cub-200-2011", options, &[(PICTURES, &pictures), (CAPTIONS, &captions)])
    }
}

#[test]
fn birds_are_read_by_the_official_division() {
    let dataset = Made::new(12).read("").unwrap();
    assert_eq!(dataset.classes, ["001.Albatross", "009.Brewer_Blackbird"]);
    let [train, val, test] = Split::ALL.map(|split| &dataset.splits[&split]);
    assert_eq!([train, val, test].map(|data| data.samples.len()), [14, 2, 8]);
    let test_ids = ["Albatross_0009", "Albatross_0010", "Albatross_0011", "Albatross_0012"];
    assert_eq!(test.ids()[..4], test_ids);
    assert_eq!(test.pictures[0].member, "CUB_200_2011/images/001.Albatross/Albatross_0009.jpg");
    assert_eq!((test.texts[0].as_str(), &test.samples[7].labels), ("bird 9 caption 0 .", &vec![1]));
    let classes: Vec<u32> = val.samples.iter().map(|sample| sample.labels[0]).collect();
    assert_eq!(classes, [0, 1], "a tenth of each class");
    assert!(dataset.dropped.is_empty(), "{:?}", dataset.dropped);
    let found = [("classes", 2), ("files of captions", 24), ("pictures", 24), ("test", 8), ("train", 16)];
    assert_eq!(dataset.found, found.map(|(what, n)| (what.to_owned(), n)).into());
}

#[test]
fn a_caption_is_the_first_or_drawn_or_all() {
    let made = Made::new(12);
    let texts = |options: &str| made.read(options).unwrap().splits[&Split::Test].texts.clone();
    let all = texts("caption = \"all-joined\"");
    assert!(all[0].starts_with("bird 9 caption 0 . bird 9 caption 1 .") && all[0].ends_with("caption 9 ."), "{all:?}");
    let seeded = |seed: u64| texts(&format!("caption = \"seeded\"\ncaption-seed = {seed}"));
    assert_eq!(seeded(3), seeded(3));
    assert_ne!(seeded(3), seeded(4));
    let drawn = seeded(0);
    assert!(drawn.iter().any(|text| !text.contains("caption 0")), "{drawn:?}");
    // Each picture's caption is its own.
    assert!(drawn.iter().zip(9..13).all(|(text, number)| text.starts_with(&format!("bird {number} "))), "{drawn:?}");
}

#[test]
fn another_seed_holds_others_out() {
    let made = Made::new(60);
    let drawn = |seed: u64| made.read(&format!("validation-seed = {seed}\nvalidation-percent = 20")).unwrap().splits;
    assert_eq!(Split::ALL.map(|split| drawn(0)[&split].samples.len()), [64, 16, 40]);
    assert_eq!(drawn(0), drawn(0));
    assert_ne!(drawn(0), drawn(1));
}

#[test]
fn incomplete_images_are_counted() {
    let mut made = Made::new(6)
        .without("images/001.Albatross/Albatross_0001.jpg")
        .without("text_c10/001.Albatross/Albatross_0002.txt")
        .change("text_c10/001.Albatross/Albatross_0003.txt", |_| " \n\n".to_owned());
    made.captions.push(("cvpr2016_cub/text_c10/002.Other/Albatross_0004.txt".into(), b"a caption".to_vec()));
    let dataset = made.read("").unwrap();
    let dropped = [("blank captions", 1), ("no captions", 1), ("no picture", 1), ("two files of captions", 1)];
    assert_eq!(dataset.dropped, dropped.map(|(reason, n)| (reason.to_owned(), n)).into());
    assert_eq!((dataset.found["train"], dataset.found["pictures"]), (8, 11));
}

/// A line that cannot be read costs the images that it speaks of, and no others.
#[test]
fn lines_that_cannot_be_read_are_counted() {
    let made = |list: &str, from: &str, to: &str| {
        Made::new(6).change(&format!("CUB_200_2011/{list}"), |text| text.replacen(from, to, 1)).read("").unwrap()
    };
    let (row, second) = ("row of another form", "second row of a number");
    let neither = "neither for training nor for testing";
    for (list, from, to, dropped, train) in [
        ("train_test_split.txt", "2 1\n", "2 x\n", &[(neither, 1)][..], 7),
        ("train_test_split.txt", "2 1\n", "two 1\n", &[(neither, 1), (row, 1)], 7),
        ("image_class_labels.txt", "2 1\n", "2 7\n", &[("no class", 1)], 7),
        ("image_class_labels.txt", "2 1\n", "", &[("no class", 1)], 7),
        ("images.txt", "2 001", "two 001", &[(row, 1)], 7),
        ("classes.txt", "2 009", "1 009", &[("no class", 6), (second, 1)], 4),
    ] {
        let dataset = made(list, from, to);
        let expected = dropped.iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect();
        assert_eq!(dataset.dropped, expected, "{list}: {to}");
        assert_eq!(dataset.found["train"], train, "{list}: {to}");
    }
}

#[test]
fn lists_that_do_not_fit_are_refused() {
    let error = |made: Made| format!("{:#}", made.read("").unwrap_err());
    assert!(error(Made::new(3).without("train_test_split.txt")).contains("there is no list `train_test_split.txt`"));
    let message = error(Made::new(3).change("CUB_200_2011/images.txt", |_| "\none 001.Albatross\n".to_owned()));
    let expected = "images.txt: none of its rows can be read; line 2: expected a number and a value";
    assert!(message.contains(expected), "{message}");
    let message =
        error(Made::new(3).change("classes.txt", |text| text.replace("009.Brewer_Blackbird", "001.Albatross")));
    assert!(message.contains("classes.txt names a class twice"), "{message}");
    let message = error(Made::new(3).without("text_c10"));
    assert!(message.contains("cvpr2016_cub.tar.gz holds no `text_c10/CLASS/IMAGE.txt`"), "{message}");
    let message = Made::new(3).read("validation-percent = 51").unwrap_err().to_string();
    assert!(message.contains("`validation-percent` should be between 1 and 50, found 51"), "{message}");
}
