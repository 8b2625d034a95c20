//! What the kernel is told about connection tracking.

use std::num::NonZeroUsize;

use serde::Serialize;

use super::kube_proxy;
use super::setting::{CONNTRACK_MAX, CONNTRACK_MIN};
use super::{ConfigError, GoDuration, Setting};

/// Most connections that are asked for because a node has many cores: the table of a million takes
/// some 300 MB.
const MOST_BY_CORES: u64 = 1 << 20;

/// What the kernel is told; None leaves it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Conntrack {
    /// At least so many connections.
    pub(crate) max: Option<u64>,
    pub(crate) tcp_established: Option<GoDuration>,
    pub(crate) tcp_close_wait: Option<GoDuration>,
    /// Whether packets outside of the window are valid.
    pub(crate) tcp_be_liberal: bool,
    pub(crate) udp: Option<GoDuration>,
    pub(crate) udp_stream: Option<GoDuration>,
}

impl Conntrack {
    pub(super) fn new(
        config: &kube_proxy::Conntrack,
        processors: NonZeroUsize,
    ) -> Result<Self, ConfigError> {
        let count = |setting: &Setting, count: Option<i32>| {
            let count = count.unwrap_or_default();
            u64::try_from(count).map_err(|_| {
                ConfigError::value(setting, &count.to_string(), "must not be negative")
            })
        };
        let per_core = count(&CONNTRACK_MAX, config.max_per_core)?;
        let min = count(&CONNTRACK_MIN, config.min)?;
        let cores = u64::try_from(processors.get()).unwrap_or(u64::MAX);
        let by_cores = per_core.saturating_mul(cores).min(MOST_BY_CORES);
        Ok(Self {
            max: (per_core > 0).then_some(by_cores.max(min)),
            tcp_established: set(config.tcp_established_timeout),
            tcp_close_wait: set(config.tcp_close_wait_timeout),
            tcp_be_liberal: config.tcp_be_liberal.unwrap_or(false),
            udp: set(config.udp_timeout),
            udp_stream: set(config.udp_stream_timeout),
        })
    }
}

fn set(timeout: Option<GoDuration>) -> Option<GoDuration> {
    timeout.filter(|timeout| !timeout.is_zero())
}

/// The processors of the node, of which this process may be allowed only some.
pub(super) fn online_processors() -> Option<NonZeroUsize> {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    NonZeroUsize::new(count(list.trim())?)
}

/// The length of a list like `0-3,5`.
fn count(list: &str) -> Option<usize> {
    let lengths = list.split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let [first, last] = [first, last].map(str::parse::<usize>);
        last.ok()?.checked_sub(first.ok()?)?.checked_add(1)
    });
    lengths.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_grows_with_the_cores_up_to_a_million() {
        let max = |per_core, min, cores| {
            let config = kube_proxy::Conntrack {
                max_per_core: Some(per_core),
                min: Some(min),
                ..Default::default()
            };
            let cores = NonZeroUsize::new(cores).unwrap();
            Conntrack::new(&config, cores).unwrap().max
        };
        assert_eq!(max(32_768, 131_072, 2), Some(131_072));
        assert_eq!(max(32_768, 131_072, 8), Some(262_144));
        assert_eq!(max(32_768, 131_072, 128), Some(1_048_576));
        assert_eq!(max(1, 2_000_000, 128), Some(2_000_000));
        assert_eq!(max(0, 131_072, 8), None);
    }

    #[test]
    fn processors_are_counted_from_the_kernels_list() {
        assert_eq!(count("0"), Some(1));
        assert_eq!(count("0-3,5,8-9"), Some(7));
        assert_eq!(count(""), None);
        assert_eq!(count("3-1"), None);
    }
}
