use std::rc::Rc;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri, Version};
use hyper::ext::ReasonPhrase;
use smallvec::SmallVec;

use crate::access_log::{self, Wanted};
use crate::forwarding::Sender;
use crate::tls::Session;
use crate::trace::{Span, Trace};

/// `HTTP/1.1`, as in every request and status line.
const PROTOCOL: usize = 8;

/// What hyper adds where an endpoint sent none: the name, `: `, an IMF-fixdate, and the end of the line.
const DATE: usize = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".len();

/// What only log and traces want to know: shared bytes of the request, nothing is copied.
#[derive(Debug)]
pub(super) struct About {
    pub(super) client: HeaderValue,
    pub(super) secure: bool,
    pub(super) tls: Option<Rc<Session>>,
    /// Of a connection whose requests are not seen.
    pub(super) name: Option<HeaderValue>,
    request: Option<(Method, Uri, Version)>,
    /// Those that the format wants, in its order.
    pub(super) request_headers: SmallVec<[Option<HeaderValue>; 4]>,
    pub(super) response_headers: SmallVec<[Option<HeaderValue>; 1]>,
    pub(super) request_id: Option<HeaderValue>,
    /// As HTTP/1.1 writes it, in bytes; where the format wants to know.
    pub(super) request_head: u64,
    pub(super) response_head: u64,
    /// Host and User-Agent, for a span.
    traced: Option<Box<[Option<HeaderValue>; 2]>>,
}

impl Default for About {
    fn default() -> Self {
        Self {
            client: HeaderValue::from_static(""),
            secure: false,
            tls: None,
            name: None,
            request: None,
            request_headers: SmallVec::new(),
            response_headers: SmallVec::new(),
            request_id: None,
            request_head: 0,
            response_head: 0,
            traced: None,
        }
    }
}

impl About {
    pub(super) fn of_client(sender: &Sender) -> Self {
        Self {
            client: sender.peer.clone(),
            secure: sender.secure,
            ..Self::default()
        }
    }

    pub(super) fn of_connection(client: HeaderValue, name: Option<HeaderValue>) -> Self {
        Self {
            client,
            secure: true,
            name,
            ..Self::default()
        }
    }

    pub(super) fn request<B>(
        &mut self,
        request: &Request<B>,
        wanted: Option<&Wanted>,
        is_traced: bool,
    ) {
        let headers = request.headers();
        let line = (
            request.method().clone(),
            request.uri().clone(),
            request.version(),
        );
        if let Some(wanted) = wanted {
            self.request_headers = select(headers, &wanted.request_headers);
            if wanted.lengths {
                let target = line.1.path_and_query().map_or(0, |it| it.as_str().len());
                let line = line.0.as_str().len() + 1 + target + 1 + PROTOCOL + 2;
                self.request_head = (line + length(headers)) as u64;
            }
        }
        if is_traced {
            let header = |name| headers.get(name).cloned();
            let traced = [header(header::HOST), header(header::USER_AGENT)];
            self.traced = Some(Box::new(traced));
        }
        self.request = Some(line);
    }

    pub(super) fn response<B>(&mut self, response: &Response<B>, wanted: &Wanted) {
        let headers = response.headers();
        self.response_headers = select(headers, &wanted.response_headers);
        if wanted.lengths {
            let reason = match response.extensions().get::<ReasonPhrase>() {
                Some(phrase) => phrase.as_bytes().len(),
                None => response.status().canonical_reason().map_or(0, str::len),
            };
            let date = match headers.contains_key(header::DATE) {
                true => 0,
                false => DATE,
            };
            let line = PROTOCOL + 1 + 3 + 1 + reason + 2;
            self.response_head = (line + length(headers) + date) as u64;
        }
    }

    pub(super) fn line(&self) -> Option<access_log::Request<'_>> {
        let (method, uri, version) = self.request.as_ref()?;
        Some(access_log::Request {
            method,
            uri,
            version: *version,
        })
    }

    /// The span of a request that ended `now`; the rest of it is not known here.
    pub(super) fn span(&self, trace: &Trace, now: SystemTime, duration: Duration) -> Span {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let [host, user_agent] = match &self.traced {
            Some(headers) => headers.each_ref().map(|value| value.as_ref().map(text)),
            None => [None, None],
        };
        let request = self.request.as_ref();
        Span {
            trace_id: trace.context.trace_id,
            span_id: trace.context.span_id,
            parent_id: trace.parent,
            start: now.checked_sub(duration).unwrap_or(now),
            end: now,
            method: request.map(|(method, _, _)| method.to_string()),
            secure: self.secure,
            host,
            path: request.map(|(_, uri, _)| uri.path().to_owned()),
            protocol: request.map(|(_, _, version)| match *version {
                Version::HTTP_10 => "1.0",
                Version::HTTP_2 => "2",
                _ => "1.1",
            }),
            client: text(&self.client),
            user_agent,
            request_id: self.request_id.as_ref().map(text),
            status: 0,
            reason: None,
            route: None,
            received: 0,
            sent: 0,
            endpoint: None,
            tries: 0,
        }
    }
}

fn select<const N: usize>(
    headers: &HeaderMap,
    names: &[HeaderName],
) -> SmallVec<[Option<HeaderValue>; N]>
where
    [Option<HeaderValue>; N]: smallvec::Array<Item = Option<HeaderValue>>,
{
    names
        .iter()
        .map(|name| headers.get(name).cloned())
        .collect()
}

/// Of all headers and the empty line, in bytes.
fn length(headers: &HeaderMap) -> usize {
    let lines = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + ": ".len() + value.len() + "\r\n".len());
    lines.sum::<usize>() + "\r\n".len()
}
