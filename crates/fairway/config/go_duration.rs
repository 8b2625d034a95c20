//! Lengths of time as Go writes them: `1h30m`, `500ms`, `0`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GoDuration(Duration);

impl GoDuration {
    pub(crate) const ZERO: Self = Self(Duration::ZERO);

    pub(crate) fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<GoDuration> for Duration {
    fn from(duration: GoDuration) -> Self {
        duration.0
    }
}

impl FromStr for GoDuration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text == "0" {
            return Ok(Self::ZERO);
        }
        let parsed: SignedDuration = text
            .parse()
            .map_err(|_| "expected a duration like 30s, 500ms or 1h30m")?;
        let duration = Duration::try_from(parsed).map_err(|_| "must not be negative")?;
        Ok(Self(duration))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SignedDuration::try_from(self.0) {
            // Go takes no spaces between the units.
            Ok(duration) => f.write_str(&format!("{duration:#}").replace(' ', "")),
            Err(_) => write!(f, "{:?}", self.0),
        }
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, milliseconds, written) in [
            ("30s", 30_000, "30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("24h0m0s", 86_400_000, "24h"),
            ("1.5s", 1_500, "1s500ms"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("500ms", 500, "500ms"),
        ] {
            let duration: GoDuration = text.parse().expect(text);
            assert_eq!(Duration::from(duration).as_millis(), milliseconds, "{text}");
            assert_eq!(duration.to_string(), written);
            assert_eq!(written.parse(), Ok(duration));
        }
        for text in ["", "30", "-5s", "s", "1h-30m", "soon"] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }
}
