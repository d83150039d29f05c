//! Seeds on the command line.

/// Seeds that a person asks for in place of a suite's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Vec<u64>);

impl std::fmt::Display for Seeds {
    /// As folders are called: `3` for the first three, `1-2-7` for a list.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Seeds(seeds) = self;
        if seeds.iter().copied().eq(1..=seeds.len() as u64) {
            return write!(f, "{}", seeds.len());
        }
        let words: Vec<String> = seeds.iter().map(u64::to_string).collect();
        // One seed is not as many seeds.
        write!(f, "{}{}", if seeds.len() == 1 { "only-" } else { "" }, words.join("-"))
    }
}

/// The most seeds: a training for each of them per dataset and method.
const MOST_SEEDS: u64 = 1000;

/// Reads `3`, the seeds 1 to 3, or a list such as `1,2,7`; a list of one seed ends with a comma.
///
/// # Errors
/// If it is neither, or names a seed twice.
pub fn seeds(text: &str) -> Result<Seeds, String> {
    let number = |word: &str| word.trim().parse::<u64>().map_err(|_| format!("expected a number, found `{word}`"));
    if !text.contains(',') {
        let many = number(text)?;
        let range = (1..=MOST_SEEDS).contains(&many);
        return range
            .then(|| Seeds((1..=many).collect()))
            .ok_or(format!("expected 1 to {MOST_SEEDS} seeds, found {many}"));
    }
    let seeds: Vec<u64> = text.trim_end_matches(',').split(',').map(number).collect::<Result<_, _>>()?;
    let distinct: std::collections::BTreeSet<u64> = seeds.iter().copied().collect();
    if distinct.len() == seeds.len() { Ok(Seeds(seeds)) } else { Err("a seed is named twice".into()) }
}
