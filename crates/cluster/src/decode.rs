//! From a tree of JSON to an object, the same for API servers and manifests: what decodes the kinds is large, and is there
//! once.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why an object does not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub(crate) struct FieldError {
    /// Its path in the object.
    pub(crate) field: String,
    pub(crate) message: String,
}

pub(crate) fn decode<T: DeserializeOwned>(value: Value) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(value).map_err(|error| FieldError {
        field: error.path().to_string(),
        message: error.inner().to_string(),
    })
}
