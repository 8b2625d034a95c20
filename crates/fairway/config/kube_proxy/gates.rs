use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Feature gates by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FeatureGates(pub(crate) BTreeMap<String, bool>);

impl FromStr for FeatureGates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let gates = text.split(',').filter(|gate| !gate.trim().is_empty());
        let gates = gates.map(|gate| {
            let (name, value) = gate
                .split_once('=')
                .ok_or_else(|| format!("'{gate}' is not of the form Name=true"))?;
            let value = crate::args::boolean(value.trim())?;
            Ok((name.trim().to_owned(), value))
        });
        gates.collect::<Result<_, String>>().map(Self)
    }
}
