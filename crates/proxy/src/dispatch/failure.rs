//! What an attempt's failure means.

use std::error::Error as _;

use h2::Reason;

use crate::downstream::watch::Stall;
use crate::error::{Kind, ProxyError, Retry};
use crate::upstream::connection::Broken;
use crate::upstream::http1;

pub(super) fn stalled(stall: Stall) -> ProxyError {
    ProxyError::new(match stall {
        Stall::Connect => Kind::ConnectTimeout,
        Stall::UpstreamWrite => Kind::WriteTimeout,
        Stall::RequestBody => Kind::BodyTimeout,
        Stall::UpstreamRead | Stall::Idle | Stall::Head | Stall::ClientWrite => Kind::ReadTimeout,
    })
}

pub(super) fn broken(reason: Broken) -> ProxyError {
    match reason {
        Broken::Http1(error) => broken_connection(error),
        Broken::Http2(error) => broken_stream(error),
    }
}

fn broken_connection(error: http1::Error) -> ProxyError {
    let kind = match &error {
        http1::Error::Closed | http1::Error::Broken(_) => {
            tracing::debug!(cause = %error, "upstream closed");
            Kind::UpstreamClosed
        }
        http1::Error::Invalid(_) => Kind::InvalidResponse,
        http1::Error::Body(_) => Kind::InvalidBody,
    };
    ProxyError::because(kind, error)
}

fn broken_stream(error: hyper::Error) -> ProxyError {
    // hyper calls a failing request body a fault of its user; ours fails when the client does.
    if error.is_user() {
        return ProxyError::because(Kind::InvalidBody, error);
    }
    if error.is_parse() {
        return ProxyError::because(Kind::InvalidResponse, error);
    }
    tracing::debug!(
        cause = error.source().map(tracing::field::display),
        "upstream closed"
    );
    let retry = error
        .source()
        .and_then(|source| source.downcast_ref::<h2::Error>())
        .map(retry_of_stream);
    let failure = ProxyError::because(Kind::UpstreamClosed, error);
    match retry {
        Some(retry) => ProxyError { retry, ..failure },
        None => failure,
    }
}

/// RFC 9113 sections 6.8 and 8.7: a refused stream, and one above the last of a GOAWAY, were not
/// processed. Any other reset is the application's answer; with the connection lost, nobody knows.
fn retry_of_stream(error: &h2::Error) -> Retry {
    let is_remote = error.is_remote();
    match error.reason() {
        Some(Reason::REFUSED_STREAM) if is_remote => Retry::Unprocessed,
        Some(Reason::NO_ERROR) if is_remote && error.is_go_away() => Retry::Unprocessed,
        Some(_) if error.is_reset() => Retry::No,
        _ => Retry::Broken,
    }
}
