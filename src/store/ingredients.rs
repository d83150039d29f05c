//! The list of everything that a result depends on, and its hash, the key.
//!
//! The hashed bytes, so that a second implementation can compute the same key:
//!
//! ```text
//! key      = SHA-256("seesaw key 1\n" list)
//! list     = u64 number of ingredients, then each: string name, value
//! string   = u64 length in bytes, the bytes (UTF-8)
//! value    = 't' string                         text
//!          | 'n' u64                            a natural number
//!          | 'r' u64 bits of the IEEE double    a real number (-0 as 0; never NaN)
//!          | 'f' one byte, 0 or 1               a flag
//!          | 'd' 32 bytes                       a SHA-256 digest
//!          | 'l' u64 count, then the values     a list
//!          | 'z'                                nothing (an option that is not set)
//! ```
//!
//! All integers are little-endian. Every part of variable length carries its length and every value its tag, so that two
//! different lists never have the same bytes.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// The value of one ingredient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    Text(String),
    Natural(u64),
    Real(f64),
    Flag(bool),
    Digest(Digest),
    List(Vec<Value>),
    Nothing,
}

impl Value {
    fn encode(&self, hash: &mut Sha256) {
        match self {
            Value::Text(text) => {
                hash.update(b"t");
                encode_text(hash, text);
            }
            Value::Natural(number) => {
                hash.update(b"n");
                hash.update(number.to_le_bytes());
            }
            Value::Real(number) => {
                hash.update(b"r");
                // -0 and 0 are the same setting.
                hash.update((number + 0.0).to_bits().to_le_bytes());
            }
            Value::Flag(flag) => hash.update([b'f', u8::from(*flag)]),
            Value::Digest(digest) => {
                hash.update(b"d");
                hash.update(digest.0);
            }
            Value::List(values) => {
                hash.update(b"l");
                hash.update((values.len() as u64).to_le_bytes());
                values.iter().for_each(|value| value.encode(hash));
            }
            Value::Nothing => hash.update(b"z"),
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Text(text) => write!(f, "`{text}`"),
            Value::Natural(number) => write!(f, "{number}"),
            Value::Real(number) => write!(f, "{number}"),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Digest(digest) => write!(f, "{}…", digest.short()),
            Value::List(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Value::Nothing => f.write_str("not set"),
        }
    }
}

fn encode_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

/// A named ingredient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ingredient {
    pub name: String,
    pub value: Value,
}

/// The ordered list of ingredients of one result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ingredients(pub Vec<Ingredient>);

impl Ingredients {
    fn push(&mut self, name: &str, value: Value) {
        debug_assert!(self.0.iter().all(|i| i.name != name), "the ingredient `{name}` occurs twice");
        self.0.push(Ingredient { name: name.to_owned(), value });
    }

    pub fn text(&mut self, name: &str, value: impl Into<String>) {
        self.push(name, Value::Text(value.into()));
    }

    pub fn natural(&mut self, name: &str, value: u64) {
        self.push(name, Value::Natural(value));
    }

    /// # Panics
    /// In debug builds, if the number is NaN. Options are checked to be finite before.
    pub fn real(&mut self, name: &str, value: f64) {
        debug_assert!(!value.is_nan(), "the ingredient `{name}` is NaN");
        self.push(name, Value::Real(value));
    }

    pub fn flag(&mut self, name: &str, value: bool) {
        self.push(name, Value::Flag(value));
    }

    pub fn digest(&mut self, name: &str, value: Digest) {
        self.push(name, Value::Digest(value));
    }

    pub fn list(&mut self, name: &str, values: Vec<Value>) {
        self.push(name, Value::List(values));
    }

    /// Adds a checked options struct in its serialised form: one ingredient `prefix.field` per field, in the order of
    /// declaration. Every field of such a struct is part of the key, so a new field is too.
    pub fn options(&mut self, prefix: &str, options: &impl Serialize) {
        let tree = serde_json::to_value(options).expect("options are plain data");
        self.tree(prefix, &tree);
    }

    fn tree(&mut self, name: &str, tree: &serde_json::Value) {
        match tree {
            serde_json::Value::Object(fields) => {
                fields.iter().for_each(|(field, value)| self.tree(&format!("{name}.{field}"), value));
            }
            other => self.push(name, plain(other)),
        }
    }

    /// The SHA-256 of the list.
    pub fn key(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(b"seesaw key 1\n");
        hash.update((self.0.len() as u64).to_le_bytes());
        for Ingredient { name, value } in &self.0 {
            encode_text(&mut hash, name);
            value.encode(&mut hash);
        }
        Digest(hash.finalize().into())
    }

    /// The first ingredient in which `self` differs from an `older` list.
    pub fn first_difference(&self, older: &Ingredients) -> Option<Difference> {
        let find = |list: &Ingredients, name: &str| list.0.iter().find(|i| i.name == name).map(|i| i.value.clone());
        let mine = self.0.iter().map(|Ingredient { name, value }| (name, find(older, name), Some(value.clone())));
        let gone = older.0.iter().filter(|i| find(self, &i.name).is_none());
        let gone = gone.map(|Ingredient { name, value }| (name, Some(value.clone()), None));
        let (name, was, is) = mine.chain(gone).find(|(_, was, is)| was != is)?;
        Some(Difference { name: name.clone(), was, is })
    }
}

/// An ingredient that is new, gone, or has another value.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub name: String,
    pub was: Option<Value>,
    pub is: Option<Value>,
}

impl Difference {
    /// Whether a file has another content.
    pub fn is_of_content(&self) -> bool {
        matches!((&self.was, &self.is), (Some(Value::Digest(_)), Some(Value::Digest(_))))
    }
}

/// In words for people, to whom a hash says nothing.
impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.name;
        match (&self.was, &self.is) {
            _ if self.is_of_content() => write!(f, "`{name}` is another one"),
            (None, Some(Value::Digest(_)) | None) => write!(f, "`{name}` is new"),
            (None, Some(is)) => write!(f, "`{name}` is new: {is}"),
            (Some(Value::Digest(_)), None) => write!(f, "`{name}` is gone"),
            (Some(was), None) => write!(f, "`{name}` is gone, was {was}"),
            (Some(was), Some(is)) => write!(f, "`{name}` was {was}, is {is}"),
        }
    }
}

fn plain(tree: &serde_json::Value) -> Value {
    match tree {
        serde_json::Value::Null => Value::Nothing,
        serde_json::Value::Bool(flag) => Value::Flag(*flag),
        serde_json::Value::Number(number) => match number.as_u64() {
            Some(natural) => Value::Natural(natural),
            None => Value::Real(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Array(values) => Value::List(values.iter().map(plain).collect()),
        serde_json::Value::Object(fields) => {
            Value::List(fields.iter().map(|(k, v)| Value::List(vec![Value::Text(k.clone()), plain(v)])).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Ingredients {
        let mut list = Ingredients::default();
        list.text("step", "train");
        list.natural("seed", 3);
        list.real("learning rate", 1e-3);
        list.flag("project", true);
        list.digest("features", Digest::of(b"features"));
        list.list("ratios", vec![Value::Real(0.0), Value::Real(0.5)]);
        list
    }

    /// If this fails, the encoding of keys changed, and all results of every user have to be computed again. Undo the
    /// change, or raise the number in "seesaw key 1" and mention it in the changelog.
    #[test]
    fn keys_never_change() {
        let key = "593e1a3d45330e6eb2cb0820f84ed2315eeaa70a8a81f879ce4a00054567c8a3";
        assert_eq!(example().key().to_string(), key);
    }

    /// The documented bytes, written out by hand.
    #[test]
    fn the_encoding_is_the_documented_one() {
        let mut list = Ingredients::default();
        list.text("a", "bc");
        list.flag("f", true);
        let mut bytes = b"seesaw key 1\n".to_vec();
        bytes.extend(2u64.to_le_bytes());
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, b'a', b't', 2, 0, 0, 0, 0, 0, 0, 0, b'b', b'c']);
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, b'f', b'f', 1]);
        assert_eq!(list.key(), Digest::of(&bytes));
    }

    #[test]
    fn the_readable_form_gives_the_same_key() {
        let text = serde_json::to_string(&example()).unwrap();
        assert_eq!(serde_json::from_str::<Ingredients>(&text).unwrap().key(), example().key());
    }

    #[test]
    fn the_first_difference_is_named_with_both_values() {
        let mut newer = example();
        let words = |newer: &Ingredients, older: &Ingredients| newer.first_difference(older).unwrap().to_string();
        newer.0[1].value = Value::Natural(4);
        assert_eq!(words(&newer, &example()), "`seed` was 3, is 4");
        newer.0.remove(1);
        assert_eq!(words(&newer, &example()), "`seed` is gone, was 3");
        assert_eq!(words(&example(), &newer), "`seed` is new: 3");
        assert_eq!(example().first_difference(&example()), None);
        // Nobody reads hashes.
        newer = example();
        newer.0[4].value = Value::Digest(Digest::of(b"other features"));
        assert_eq!(words(&newer, &example()), "`features` is another one");
    }

    proptest! {
        /// Adjacent texts never run together, whatever they contain.
        #[test]
        fn different_lists_have_different_keys(a in ".{0,6}", b in ".{0,6}", c in ".{0,6}", d in ".{0,6}") {
            let list = |x: &str, y: &str| {
                let mut list = Ingredients::default();
                list.text("x", x);
                list.text("y", y);
                list.key()
            };
            prop_assert_eq!((&a, &b) == (&c, &d), list(&a, &b) == list(&c, &d));
        }

        #[test]
        fn reals_survive_the_readable_form(x in proptest::num::f64::NORMAL) {
            let mut list = Ingredients::default();
            list.real("x", x);
            let text = serde_json::to_string(&list).unwrap();
            prop_assert_eq!(serde_json::from_str::<Ingredients>(&text).unwrap().key(), list.key());
        }
    }
}
