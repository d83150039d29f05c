//! Small maps by name, and names that many of them share.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::ops::{Deref, DerefMut, Index};
use std::sync::Arc;

use litemap::LiteMap;
use serde::{Deserialize, Serialize, Serializer};

/// A map by name that takes no more room than its entries: a `BTreeMap` has room for eleven, and a large suite has hundreds
/// of thousands of maps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Map<V, K: Ord = String>(LiteMap<K, V>);

impl<V, K: Ord> Default for Map<V, K> {
    fn default() -> Self {
        Map(LiteMap::new())
    }
}

impl<V, K: Ord> Deref for Map<V, K> {
    type Target = LiteMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<V, K: Ord> DerefMut for Map<V, K> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<V, K: Ord + Borrow<str>> Index<&str> for Map<V, K> {
    type Output = V;

    /// # Panics
    /// If there is no such name.
    fn index(&self, name: &str) -> &V {
        self.0.get(name).unwrap_or_else(|| panic!("the map has no `{name}`"))
    }
}

impl<V, K: Ord> FromIterator<(K, V)> for Map<V, K> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut entries = entries.into_iter().collect::<LiteMap<K, V>>().into_tuple_vec();
        entries.shrink_to_fit();
        Map(LiteMap::from_sorted_store_unchecked(entries))
    }
}

impl<'a, V, K: Ord> IntoIterator for &'a Map<V, K> {
    type Item = (&'a K, &'a V);
    type IntoIter = <&'a LiteMap<K, V> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (&self.0).into_iter()
    }
}

/// As an object, even without entries: a `LiteMap` would be a list then.
impl<V: Serialize, K: Ord + Serialize> Serialize for Map<V, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

/// Names of which each is kept once, however often it is used.
#[derive(Default)]
pub struct Names(HashSet<Arc<str>>);

impl Names {
    /// The one copy of a name.
    pub fn one(&mut self, name: Arc<str>) -> Arc<str> {
        if let Some(known) = self.0.get(&name) {
            return known.clone();
        }
        self.0.insert(name.clone());
        name
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
