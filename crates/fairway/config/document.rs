//! YAML (and so JSON) documents of a configuration file, as loosely as kube-proxy reads them: what
//! is strange is told and the rest counts.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

/// A document, and the paths of fields that it has more than once.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Document {
    pub(super) content: Value,
    pub(super) duplicates: Vec<String>,
}

/// The documents of a file; empty ones are left out.
pub(super) fn parse(text: &str) -> Result<Vec<Document>, String> {
    let mut text = text.as_bytes();
    let documents = serde_saphyr::read_with_options::<_, Document>(&mut text, options());
    let documents = documents.map(|document| document.map_err(|error| error.render()));
    let mut documents: Vec<_> = documents.collect::<Result<_, _>>()?;
    documents.retain(|document| !document.content.is_null());
    Ok(documents)
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        // The last one counts, as with kube-proxy; we see them all.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut document = Self::default();
        let node = Node {
            path: String::new(),
            duplicates: &mut document.duplicates,
        };
        document.content = node.deserialize(deserializer)?;
        Ok(document)
    }
}

/// Reads one value, knowing where it stands.
struct Node<'a> {
    path: String,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = match self.path.as_str() {
                "" => key.clone(),
                parent => format!("{parent}.{key}"),
            };
            let value = entries.next_value_seed(Node {
                path: path.clone(),
                duplicates: &mut *self.duplicates,
            })?;
            if map.insert(key, value).is_some() {
                self.duplicates.push(path);
            }
        }
        Ok(Value::Object(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Node {
            path: format!("{}[{}]", self.path, list.len()),
            duplicates: &mut *self.duplicates,
        })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // What JSON has no number for counts as absent.
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_told_apart_and_empty_ones_left_out() {
        let documents =
            parse("---\na: 1\n---\n# nothing\n---\n{\"b\": [true, null, x]}\n").unwrap();
        let contents: Vec<_> = documents.into_iter().map(|it| it.content).collect();
        assert_eq!(contents, [json!({"a": 1}), json!({"b": [true, null, "x"]})]);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn the_last_of_several_counts_and_is_told() {
        let [document] = &parse("a: 1\nb: {c: 2, c: 3}\na: 4\n").unwrap()[..] else {
            panic!()
        };
        assert_eq!(document.content, json!({"a": 4, "b": {"c": 3}}));
        assert_eq!(document.duplicates, ["b.c", "a"]);
    }

    #[test]
    fn what_is_no_yaml_is_an_error_of_one_line() {
        for text in ["a: [", "a: b: c", "a: \"b"] {
            let error = parse(text).expect_err(text);
            assert!(error.contains("line"), "{text}: {error}");
        }
    }
}
