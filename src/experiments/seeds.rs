//! Seeds on the command line.

use std::collections::BTreeSet;
use std::fmt;

use crate::digest::Digest;

/// Seeds that replace those of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Vec<u64>);

impl Seeds {
    /// Their number if they are the first ones, a single other one as `single` writes it, or all of them.
    fn written(&self, single: impl Fn(u64) -> String, separator: &str) -> String {
        match self.0[..] {
            ref seeds if seeds.iter().copied().eq(1..=seeds.len() as u64) => seeds.len().to_string(),
            [seed] => single(seed),
            ref seeds => seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(separator),
        }
    }

    /// As [`seeds`] reads them.
    pub fn argument(&self) -> String {
        self.written(|seed| format!("{seed},"), ",")
    }
}

/// The longest list that a folder is named after. A name may have 255 bytes on most filesystems.
const LONGEST_LIST: usize = 40;

/// In names of folders: `3` for the first three, `only-7` for one, `1-2-7` for a list, `list-` and a digest for a long one.
impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.written(|seed| format!("only-{seed}"), "-") {
            list if list.len() <= LONGEST_LIST => f.write_str(&list),
            list => write!(f, "list-{}", &Digest::of(list.as_bytes()).to_string()[..12]),
        }
    }
}

/// The most seeds: each is a training per dataset and method.
const MOST_SEEDS: u64 = 1000;

/// Parses `3`, the seeds 1 to 3, or a list such as `1,2,7`. A list of one seed ends with a comma.
///
/// # Errors
/// If it is neither, or has a seed twice.
pub fn seeds(text: &str) -> Result<Seeds, String> {
    let number = |word: &str| word.trim().parse::<u64>().map_err(|_| format!("expected a number, found `{word}`"));
    if !text.contains(',') {
        return match number(text)? {
            many @ 1..=MOST_SEEDS => Ok(Seeds((1..=many).collect())),
            many => Err(format!("expected 1 to {MOST_SEEDS} seeds, found {many}")),
        };
    }
    let seeds: Vec<u64> = text.trim_end_matches(',').split(',').map(number).collect::<Result<_, _>>()?;
    let distinct: BTreeSet<&u64> = seeds.iter().collect();
    if distinct.len() == seeds.len() { Ok(Seeds(seeds)) } else { Err("a seed is listed twice".into()) }
}
