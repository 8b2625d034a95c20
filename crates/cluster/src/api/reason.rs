use std::error::Error;
use std::fmt;

use kube::runtime::watcher;

/// What a failure of a watcher means for those who run fairway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The server does not answer.
    Unreachable(String),
    /// The server does not believe who we are, or we could not say who we are.
    Credentials(String),
    /// The server knows us and does not let us.
    Forbidden(Verb),
    /// The server does not know the kind.
    Absent(Verb, String),
    /// The server answers, but not with what was asked for.
    Refused(Verb, String),
    /// The version we know is too old: a list is due. Part of normal life.
    Expired,
    /// A watch broke off; it is resumed, and only if that fails something is wrong.
    Interrupted(String),
}

/// What a watcher does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    List,
    Watch,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Watch => "watch",
        })
    }
}

impl Reason {
    pub(super) fn of(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error) => Self::of_request(Verb::List, error),
            watcher::Error::WatchStartFailed(error) => Self::of_request(Verb::Watch, error),
            watcher::Error::WatchError(status) => Self::of_status(Verb::Watch, status),
            watcher::Error::WatchFailed(error) => match Self::of_request(Verb::Watch, error) {
                Self::Unreachable(text) => Self::Interrupted(text),
                other => other,
            },
            watcher::Error::NoResourceVersion => {
                Self::Refused(Verb::List, "the answer has no resourceVersion".to_owned())
            }
        }
    }

    /// What the server answered that it will not do.
    pub(super) fn refused(&self) -> Option<Verb> {
        match self {
            Self::Forbidden(verb) | Self::Absent(verb, _) | Self::Refused(verb, _) => Some(*verb),
            Self::Unreachable(_) | Self::Credentials(_) | Self::Expired | Self::Interrupted(_) => {
                None
            }
        }
    }

    fn of_request(verb: Verb, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(verb, status),
            kube::Error::Auth(error) => Self::Credentials(chain(error)),
            kube::Error::SerdeError(error) => {
                Self::Refused(verb, format!("the answer makes no sense: {error}"))
            }
            // A name that is none: about one object, whatever the server does.
            kube::Error::BuildRequest(error) => Self::Refused(verb, chain(error)),
            // kube's own words before the source add nothing.
            error => Self::Unreachable(error.source().map_or_else(|| error.to_string(), chain)),
        }
    }

    fn of_status(verb: Verb, status: &kube::error::Status) -> Self {
        match status.code {
            401 => Self::Credentials(text(status)),
            403 => Self::Forbidden(verb),
            404 => Self::Absent(verb, text(status)),
            410 => Self::Expired,
            _ => Self::Refused(verb, text(status)),
        }
    }
}

fn text(status: &kube::error::Status) -> String {
    // A proxy before the API server may answer with a page instead of a sentence.
    let message: String = status
        .message
        .chars()
        .take_while(|character| !character.is_control())
        .take(200)
        .collect();
    match message.as_str() {
        "" => format!("status {}", status.code),
        message => format!("{message} (status {})", status.code),
    }
}

/// An error and its sources in one line; sources that repeat what was said are left out.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = source.source();
    }
    line
}
