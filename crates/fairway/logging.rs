//! The log: stderr, as text for people or JSON for machines.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::warn;
use tracing_subscriber::EnvFilter;

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Logging {
    pub(crate) format: Format,
    /// As kube-proxy's `--v`.
    pub(crate) verbosity: u8,
    /// Whether only failures are told, unless something else was asked for: what is wrong with objects is
    /// part of the answer.
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

impl Logging {
    /// Starts logging. `RUST_LOG` decides what is logged if it is set and understood.
    ///
    /// # Panics
    ///
    /// When called twice.
    pub(crate) fn start(self) {
        let from_environment = std::env::var("RUST_LOG")
            .ok()
            .filter(|directives| !directives.is_empty())
            .map(EnvFilter::try_new)
            .transpose();
        let (filter, misunderstood) = match from_environment {
            Ok(Some(filter)) => (filter, None),
            Ok(None) => (self.filter(), None),
            Err(error) => (self.filter(), Some(error)),
        };

        let builder = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_env_filter(filter);
        match self.format {
            Format::Json => builder.json().flatten_event(true).init(),
            Format::Text => builder.with_ansi(wants_colour()).init(),
        }
        if let Some(error) = misunderstood {
            warn!(%error, "RUST_LOG is not understood; --v decides");
        }
    }

    fn filter(self) -> EnvFilter {
        EnvFilter::new(match (self.quiet, self.verbosity) {
            (true, 0) => "error,kube_runtime=off,kube_client=off",
            (_, verbosity) => directives(verbosity),
        })
    }
}

/// kube-proxy's scale: manifests in the wild say `--v=2` for a normal log, and from 4 on people
/// are looking for a fault. Libraries follow two steps later. The Kubernetes client repeats at every
/// try what we say once, its errors too, so all of it counts as debugging.
fn directives(verbosity: u8) -> &'static str {
    match verbosity {
        0..=3 => "info,kube_runtime=error,kube_client=off",
        4..=5 => "info,fairway=debug,kube_runtime=error,kube_client=off",
        6..=7 => "debug,fairway=trace",
        // Never what the API server answered: it could be a Secret.
        8.. => "trace,kube_client=off",
    }
}

/// See no-color.org.
fn wants_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verbosity_is_understood() {
        for verbosity in 0..=u8::MAX {
            EnvFilter::try_new(directives(verbosity)).unwrap();
        }
    }

    #[test]
    fn kube_proxys_usual_two_is_a_normal_log() {
        assert_eq!(directives(2), directives(0));
        assert_ne!(directives(4), directives(0));
    }
}
