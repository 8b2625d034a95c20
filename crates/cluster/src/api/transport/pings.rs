use std::env;
use std::ffi::OsString;
use std::time::Duration;

/// What client-go, and so kube-proxy, reads.
const AFTER: &str = "HTTP2_READ_IDLE_TIMEOUT_SECONDS";
const TIMEOUT: &str = "HTTP2_PING_TIMEOUT_SECONDS";

/// When a connection of HTTP/2 from which nothing comes is asked whether it is still one, and when it
/// counts as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pings {
    /// After so long without a frame a ping is sent ...
    pub(crate) after: Duration,
    /// ... which is answered within so long.
    pub(crate) timeout: Duration,
}

impl Pings {
    /// As client-go.
    pub(crate) const DEFAULT: Self = Self {
        after: Duration::from_secs(30),
        timeout: Duration::from_secs(15),
    };

    /// As the variables say that client-go reads for it. Its zero means never.
    pub(crate) fn from_environment() -> Option<Self> {
        Self::told(|name| env::var_os(name))
    }

    fn told(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let seconds =
            |name, default| variable(name).map_or(default, |text| read(name, &text, default));
        let after = seconds(AFTER, Self::DEFAULT.after);
        let timeout = seconds(TIMEOUT, Self::DEFAULT.timeout);
        (!after.is_zero()).then_some(Self { after, timeout })
    }
}

fn read(name: &str, text: &OsString, default: Duration) -> Duration {
    let number = text.to_str().and_then(|text| text.parse::<u32>().ok());
    number.map_or_else(
        || {
            let seconds = default.as_secs();
            tracing::warn!("{name} is no number of seconds: {text:?}; {seconds} are used");
            default
        },
        |seconds| Duration::from_secs(seconds.into()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(after: &str, timeout: &str) -> Option<Pings> {
        Pings::told(|name| {
            let text = if name == AFTER { after } else { timeout };
            (!text.is_empty()).then(|| text.into())
        })
    }

    #[test]
    fn the_variables_of_client_go_are_read() {
        let pings = |after, timeout| {
            Some(Pings {
                after: Duration::from_secs(after),
                timeout: Duration::from_secs(timeout),
            })
        };
        assert_eq!(told("", ""), pings(30, 15));
        assert_eq!(told("5", "2"), pings(5, 2));
        assert_eq!(told("0", "2"), None);
        assert_eq!(told("soon", "-1"), pings(30, 15));
    }
}
