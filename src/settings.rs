//! Settings, as people and their tools write them: environment variables, and options in TOML.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::errors;

/// The value of a variable. One that is set to nothing, as compose files and shells do with unset ones, is unset.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Reads a file in TOML.
///
/// # Errors
/// What was expected, where, and what was found; the nearest name, if one is unknown.
pub fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let near = toml::from_str(text).ok().and_then(near_name::<T>);
        format!("{}{}", error.to_string().trim_end(), near.unwrap_or_default())
    })
}

/// Reads a table of a file in TOML.
///
/// # Errors
/// What was expected and found; the nearest name, if one is unknown.
pub fn from_table<T: DeserializeOwned>(table: toml::Table) -> Result<T, String> {
    table
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| format!("{}{}", error.message(), near_name::<T>(table).unwrap_or_default()))
}

/// The name that the first unknown one probably means, as a question.
fn near_name<T: DeserializeOwned>(table: toml::Table) -> Option<String> {
    let Unknown(near) = T::deserialize(Node(toml::Value::Table(table))).err()?;
    near.map(|near| format!("; did you mean `{near}`?"))
}

/// Why a value does not fit: a name is unknown, which may be near a known one; or for another reason.
#[derive(Debug)]
struct Unknown(Option<&'static str>);

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.unwrap_or_default())
    }
}

impl std::error::Error for Unknown {}

impl serde::de::Error for Unknown {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Unknown(None)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Unknown(errors::nearest(field, expected.iter().copied()))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Unknown::unknown_field(variant, expected)
    }
}

/// A value in TOML, deserialised with errors that are types. Those of `toml` are text.
struct Node(toml::Value);

impl IntoDeserializer<'_, Unknown> for Node {
    type Deserializer = Node;

    fn into_deserializer(self) -> Node {
        self
    }
}

fn map(table: toml::Table) -> MapDeserializer<'static, impl Iterator<Item = (String, Node)>, Unknown> {
    MapDeserializer::new(table.into_iter().map(|(name, value)| (name, Node(value))))
}

impl<'de> Deserializer<'de> for Node {
    type Error = Unknown;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unknown> {
        match self.0 {
            toml::Value::String(text) => visitor.visit_string(text),
            toml::Value::Integer(number) => visitor.visit_i64(number),
            toml::Value::Float(number) => visitor.visit_f64(number),
            toml::Value::Boolean(flag) => visitor.visit_bool(flag),
            toml::Value::Datetime(time) => visitor.visit_string(time.to_string()),
            toml::Value::Array(values) => visitor.visit_seq(SeqDeserializer::new(values.into_iter().map(Node))),
            toml::Value::Table(table) => visitor.visit_map(map(table)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unknown> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unknown> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unknown> {
        match self.0 {
            toml::Value::String(name) => visitor.visit_enum(name.into_deserializer()),
            toml::Value::Table(table) => visitor.visit_enum(MapAccessDeserializer::new(map(table))),
            _ => Err(Unknown(None)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    #[expect(dead_code, reason = "fields are read")]
    struct Options {
        epochs: u32,
        kind: Option<Kind>,
        each: Option<Vec<Kind>>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
    #[expect(dead_code, reason = "fields are read")]
    enum Kind {
        Constant { value: f64 },
    }

    #[test]
    fn an_unknown_name_gets_a_near_one() {
        let wrong = |text: &str| from_toml::<Options>(text).unwrap_err();
        let error = wrong("epoch = 3");
        assert!(error.contains("line 1, column 1") && error.ends_with("; did you mean `epochs`?"), "{error}");
        assert!(wrong("epochs = 3\nkind = { name = \"konstant\" }").ends_with("; did you mean `constant`?"));
        assert!(wrong("epochs = 3\neach = [{ name = \"constant\", valu = 1 }]").ends_with("; did you mean `value`?"));
        for other in ["epochs = \"three\"", "epochs = 3\nunrelated = 1", "epochs"] {
            assert!(!wrong(other).contains("did you mean"), "{other}");
        }
        let table = toml::Table::from_iter([("epoch".to_owned(), toml::Value::Integer(3))]);
        let error = from_table::<Options>(table).unwrap_err();
        assert!(error.starts_with("unknown field `epoch`") && error.ends_with("; did you mean `epochs`?"), "{error}");
    }
}
