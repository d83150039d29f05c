//! From selected emoji to the samples of the three tasks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::selection::{Selected, Selection, VENDORS};
use super::table::Translations;
use crate::datasets::Dataset;
use crate::datasets::collect::Collector;
use crate::terms::{Split, TaskKind};

/// Subgroups with fewer bases than this are no classes.
const FEWEST_BASES: usize = 8;
/// Number of labels of emoji-words.
const LABELS: usize = 23;
/// Labels occur in at least this many bases of the test split.
const FEWEST_TEST_BASES: usize = 2;
const NO_LABELS: [&str; 5] = ["and", "for", "from", "the", "with"];

/// A subgroup that is a class.
struct Class<'a> {
    name: &'a str,
    group: &'a str,
    emoji: usize,
}

/// The classes in the table's order, and what is left out, the emoji of all other subgroups included.
fn classes(selection: &Selection) -> (Vec<Class<'_>>, BTreeMap<String, u64>) {
    let mut order: Vec<Class<'_>> = Vec::new();
    let mut bases: BTreeMap<&str, usize> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for one in &selection.emoji {
        let subgroup = one.emoji.subgroup.as_str();
        match order.iter_mut().find(|class| class.name == subgroup) {
            Some(class) => class.emoji += 1,
            None => order.push(Class { name: subgroup, group: &one.emoji.group, emoji: 1 }),
        }
        // A base counts where it first appears.
        if seen.insert(&one.base) {
            *bases.entry(subgroup).or_default() += 1;
        }
    }
    let is_class = |class: &Class<'_>| bases.get(class.name).is_some_and(|&n| n >= FEWEST_BASES);
    let few = order.iter().filter(|class| !is_class(class)).map(|class| class.emoji as u64).sum();
    let mut dropped = selection.dropped.clone();
    dropped.insert("subgroup of fewer than 8 bases".to_owned(), few);
    (order.into_iter().filter(is_class).collect(), dropped)
}

fn translated<'a>(names: &'a Translations, one: &Selected) -> anyhow::Result<&'a str> {
    let name = names.get(&one.emoji.glyph);
    Ok(name.with_context(|| format!("{} ({}) has no translated name", one.key, one.emoji.name))?)
}

/// emoji-subgroup: every emoji of a class × vendor, with its Spanish name.
pub fn subgroup(selection: &Selection, spanish: &Translations) -> anyhow::Result<Dataset> {
    let (classes, dropped) = classes(selection);
    let mut collector = Collector::default();
    for one in &selection.emoji {
        let Some(class) = classes.iter().position(|class| class.name == one.emoji.subgroup) else { continue };
        let text = translated(spanish, one)?;
        for (vendor, picture) in VENDORS.iter().zip(&one.pictures) {
            collector.push(one.split, format!("{vendor}/{}", one.key), picture, text, vec![class as u32]);
        }
    }
    collector.drop_all(&dropped);
    let names = classes.iter().map(|class| class.name.to_owned()).collect();
    Ok(collector.into_dataset(TaskKind::Multiclass, names))
}

/// The class that a class takes its foils from: of the others in its group, the one with the most emoji; of several,
/// the earlier.
fn foil_class<'a>(classes: &'a [Class<'a>], of: &Class<'_>) -> Option<&'a Class<'a>> {
    let others = classes.iter().filter(|class| class.group == of.group && class.name != of.name);
    others.rev().max_by_key(|class| class.emoji)
}

/// emoji-match: every emoji of a class × vendor, once with its own English name (label 1), once with a foil's (0).
pub fn matching(selection: &Selection) -> anyhow::Result<Dataset> {
    let (classes, dropped) = classes(selection);
    let mut candidates: BTreeMap<(&str, Split), Vec<&Selected>> = BTreeMap::new();
    for one in &selection.emoji {
        candidates.entry((&one.emoji.subgroup, one.split)).or_default().push(one);
    }
    let mut collector = Collector::default();
    for one in &selection.emoji {
        let Some(class) = classes.iter().find(|class| class.name == one.emoji.subgroup) else { continue };
        let from = foil_class(&classes, class).with_context(|| format!("{} has no foil class", class.name))?;
        let candidates = candidates.get(&(from.name, one.split)).map_or(&[][..], Vec::as_slice);
        for (vendor, picture) in VENDORS.iter().zip(&one.pictures) {
            let rank = |foil: &&&Selected| Sha256::digest(format!("{}|{vendor}|{}", one.key, foil.key).as_bytes());
            let foil = candidates.iter().min_by_key(rank);
            let foil = foil.with_context(|| format!("{} has no foil in {}", one.key, from.name))?;
            for (other, label) in [(one, 1), (*foil, 0)] {
                let id = format!("{vendor}/{}/{}", one.key, other.key);
                collector.push(one.split, id, picture, &other.emoji.name, vec![label]);
            }
        }
    }
    collector.drop_all(&dropped);
    Ok(collector.into_dataset(TaskKind::Binary, vec!["foil".into(), "match".into()]))
}

/// The words of an English name: maximal runs of letters and digits, lower case, of at least three characters, without
/// a few that mean nothing; each once, in order.
fn words_of(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in name.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
        let counts = word.chars().count() >= 3 && !NO_LABELS.contains(&word);
        if counts && !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}

/// emoji-words: every emoji × vendor, with its Turkish name; the labels are words of its English name.
pub fn words(selection: &Selection, turkish: &Translations) -> anyhow::Result<Dataset> {
    let mut bases: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut test_bases: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for one in &selection.emoji {
        for word in words_of(&one.emoji.name) {
            if one.split == Split::Test {
                test_bases.entry(word.clone()).or_default().insert(&one.base);
            }
            bases.entry(word).or_default().insert(&one.base);
        }
    }
    let frequent = |word: &String| test_bases.get(word).is_some_and(|bases| bases.len() >= FEWEST_TEST_BASES);
    let mut labels: Vec<(usize, String)> =
        bases.into_iter().filter(|(word, _)| frequent(word)).map(|(word, bases)| (bases.len(), word)).collect();
    labels.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    labels.truncate(LABELS);
    let names: Vec<String> = labels.into_iter().map(|(_, word)| word).collect();

    let mut collector = Collector::default();
    for one in &selection.emoji {
        let words = words_of(&one.emoji.name);
        let numbers = names.iter().enumerate().filter(|(_, name)| words.contains(name)).map(|(n, _)| n as u32);
        let numbers: Vec<u32> = numbers.collect();
        let text = translated(turkish, one)?;
        for (vendor, picture) in VENDORS.iter().zip(&one.pictures) {
            collector.push(one.split, format!("{vendor}/{}", one.key), picture, text, numbers.clone());
        }
    }
    collector.drop_all(&selection.dropped);
    Ok(collector.into_dataset(TaskKind::Multilabel, names))
}

#[cfg(test)]
mod tests {
    use super::words_of;

    #[test]
    fn names_fall_into_words() {
        assert_eq!(words_of("men’s room"), ["men", "room"]);
        assert_eq!(words_of("e-mail"), ["mail"]);
        assert_eq!(words_of("face with tears of joy"), ["face", "tears", "joy"]);
        assert_eq!(words_of("Face FACE"), ["face"]);
    }
}
