use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::LazyLock;

use k8s_openapi::ByteString;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};
use zeroize::Zeroizing;

/// What TLS needs of a Secret. Other fields are not even decoded.
#[derive(Clone, Default, Deserialize)]
pub struct Secret {
    /// Name and namespace.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The type, for example `kubernetes.io/tls`.
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    data: Fields,
    /// As text; manifests may have it, an API server has merged it into `data`.
    #[serde(default, rename = "stringData")]
    string_data: TextFields,
}

/// A field of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The certificate chain.
    Certificate,
    /// The certificate's private key.
    Key,
    /// Certificates of authorities.
    Authorities,
}

impl Field {
    const ALL: [Self; 3] = [Self::Certificate, Self::Key, Self::Authorities];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Certificate => "tls.crt",
            Self::Key => "tls.key",
            Self::Authorities => "ca.crt",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// Values by field; None where it is absent or no base64.
type Values = [Option<Zeroizing<Vec<u8>>>; 3];

#[derive(Clone, Default, PartialEq, Eq)]
struct Fields(Values);

#[derive(Clone, Default, PartialEq, Eq)]
struct TextFields(Values);

impl Secret {
    pub(crate) fn get(&self, field: Field) -> Option<&[u8]> {
        let index = field as usize;
        let value = self.string_data.0[index].as_ref();
        value
            .or(self.data.0[index].as_ref())
            .map(|value| &value[..])
    }

    /// Whether both hold the same for TLS.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.data == other.data && self.string_data == other.string_data
    }

    /// Tells one content from another within this process.
    pub(crate) fn fingerprint(&self) -> u64 {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let mut hasher = KEYS.build_hasher();
        self.kind.hash(&mut hasher);
        for field in Field::ALL {
            self.get(field).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Forgets what only names it for others.
    pub(crate) fn prune(&mut self) {
        self.metadata = ObjectMeta {
            name: self.metadata.name.take(),
            namespace: self.metadata.namespace.take(),
            resource_version: self.metadata.resource_version.take(),
            ..ObjectMeta::default()
        };
    }
}

/// Says which Secret it is, and nothing of what it holds.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("namespace", &self.metadata.namespace)
            .field("name", &self.metadata.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Its own, because that of k8s-openapi decodes and prints all fields.
impl Resource for Secret {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Secret".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "secrets".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Collect(decode)).map(Self)
    }
}

impl<'de> Deserialize<'de> for TextFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Collect(plain)).map(Self)
    }
}

fn decode(text: String) -> Option<Zeroizing<Vec<u8>>> {
    let text = Zeroizing::new(text);
    let decoded = de::value::StrDeserializer::<de::value::Error>::new(&text);
    let decoded = ByteString::deserialize(decoded).ok()?;
    Some(Zeroizing::new(decoded.0))
}

fn plain(text: String) -> Option<Zeroizing<Vec<u8>>> {
    Some(Zeroizing::new(text.into_bytes()))
}

/// Collects the fields of a map, turning texts into bytes with a function. Never fails over a value:
/// the error could quote it.
struct Collect(fn(String) -> Option<Zeroizing<Vec<u8>>>);

impl<'de> Visitor<'de> for Collect {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        let mut values = Values::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match Field::of(&name) {
                Some(field) => {
                    let Text(text) = map.next_value()?;
                    values[field as usize] = text.and_then(self.0);
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(values)
    }

    fn visit_unit<E>(self) -> Result<Values, E> {
        Ok(Values::default())
    }

    fn visit_none<E>(self) -> Result<Values, E> {
        Ok(Values::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Values, E> {
        Ok(Values::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Values, E> {
        Ok(Values::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Values, E> {
        Ok(Values::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Values, E> {
        Ok(Values::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Values, E> {
        Ok(Values::default())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Values::default())
    }
}

/// A text; None for anything else.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Text(String),
            Other(IgnoredAny),
        }
        Ok(Self(match Any::deserialize(deserializer)? {
            Any::Text(text) => Some(text),
            Any::Other(_) => None,
        }))
    }
}

#[cfg(test)]
mod tests;
