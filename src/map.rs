//! Small maps by name.

use std::ops::{Deref, DerefMut, Index};

use litemap::LiteMap;
use serde::{Deserialize, Serialize, Serializer};

/// A map by name that takes no more room than its entries: a `BTreeMap` has room for eleven, and a large suite has hundreds
/// of thousands of maps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Map<V>(LiteMap<String, V>);

impl<V> Default for Map<V> {
    fn default() -> Self {
        Map(LiteMap::new())
    }
}

impl<V> Deref for Map<V> {
    type Target = LiteMap<String, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<V> DerefMut for Map<V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<V> Index<&str> for Map<V> {
    type Output = V;

    /// # Panics
    /// If there is no such name.
    fn index(&self, name: &str) -> &V {
        self.0.get(name).unwrap_or_else(|| panic!("the map has no `{name}`"))
    }
}

impl<V> FromIterator<(String, V)> for Map<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(entries: I) -> Self {
        Map(entries.into_iter().collect())
    }
}

impl<'a, V> IntoIterator for &'a Map<V> {
    type Item = (&'a String, &'a V);
    type IntoIter = <&'a LiteMap<String, V> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (&self.0).into_iter()
    }
}

/// As an object, even without entries: a `LiteMap` would be a list then.
impl<V: Serialize> Serialize for Map<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_an_object() {
        let written = |names: &[&str]| {
            let map: Map<usize> = names.iter().map(|name| ((*name).to_owned(), name.len())).collect();
            let text = serde_json::to_string(&map).unwrap();
            assert_eq!(serde_json::from_str::<Map<usize>>(&text).unwrap(), map);
            text
        };
        assert_eq!(written(&[]), "{}");
        assert_eq!(written(&["weights", "trace"]), r#"{"trace":5,"weights":7}"#);
    }
}
