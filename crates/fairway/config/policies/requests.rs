//! What requests may be and ask for.

use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A number of bytes, or one with the unit Ki, Mi or Gi; `none` for no limit.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected a number of bytes, like 1048576, or 1Mi"
    )]
    enum Given {
        Bytes(u64),
        Text(String),
    }
    Ok(match Option::<Given>::deserialize(deserializer)? {
        None => None,
        Some(Given::Bytes(bytes)) => Some(bytes),
        Some(Given::Text(text)) if text == "none" => Some(u64::MAX),
        Some(Given::Text(text)) => {
            let expected = "expected a number of bytes, like 1048576, 64Ki, 1Mi or 5Gi, or none";
            let wrong = || D::Error::custom(format_args!("'{text}': {expected}"));
            Some(bytes(&text).ok_or_else(wrong)?)
        }
    })
}

fn bytes(text: &str) -> Option<u64> {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let unit = units
        .iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, unit) = unit.unwrap_or((text, 1_u64));
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None; // a sign, which `parse` takes
    }
    number.parse::<u64>().ok()?.checked_mul(unit)
}

type Protocols = Arc<[Arc<str>]>;

/// Protocols that clients may switch to.
pub(super) fn upgrades<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Protocols>, D::Error> {
    let Some(names) = Option::<Vec<String>>::deserialize(deserializer)? else {
        return Ok(None);
    };
    for name in &names {
        // RFC 9110 section 7.8: a token, and another one after a slash.
        let is_token = |text: &str| {
            let allowed =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            !text.is_empty() && text.bytes().all(allowed)
        };
        if !name.splitn(2, '/').all(is_token) {
            return Err(D::Error::custom(format_args!("'{name}': is no protocol")));
        }
        if name.eq_ignore_ascii_case("h2c") {
            return Err(D::Error::custom(
                "'h2c': is never passed on, because requests behind it could not be judged",
            ));
        }
    }
    Ok(Some(names.into_iter().map(Arc::from).collect()))
}
