use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use fairway_model::{HostPattern, Port, Protocol, WildcardSpan};
use fairway_router::Host;
use http::Uri;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// As it was typed.
    pub text: String,
    /// A request or a packet.
    pub target: Target,
    /// Who sends it; absent for everybody.
    pub from: Option<IpAddr>,
    /// The method of a request.
    pub method: String,
    /// Headers of a request, names lower-case.
    pub headers: Vec<(String, String)>,
}

/// A request or a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A request to the ingress router.
    Url(Url),
    /// The first packet of a connection.
    Address((IpAddr, Protocol, Port)),
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// By TLS.
    pub https: bool,
    /// The host and port, as in a Host header.
    pub authority: String,
    /// The path as sent.
    pub path: String,
    /// What follows `?`.
    pub query: Option<String>,
}

/// Why a question cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// Neither a URL nor an address.
    #[error(
        "{0:?} is neither a URL (https://shop.example.com/cart) nor an address with a port (10.96.0.10:53/udp)"
    )]
    Target(String),
    /// An address alone.
    #[error("{0} has no port: ask like {1}")]
    NoPort(IpAddr, String),
    /// Not http or https.
    #[error("{0:?} is no scheme that the router serves: http or https")]
    Scheme(String),
    /// Not a transport protocol.
    #[error("{0:?} is no protocol of Services: tcp, udp or sctp")]
    Protocol(String),
    /// The sender.
    #[error("{0:?} is no address to come from")]
    From(String),
    /// A header.
    #[error("{0:?} is no header: write name:value")]
    Header(String),
}

impl Question {
    /// Reads a URL, or an address and port with a protocol that is TCP where it is left out.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, QuestionError> {
        let text = text.trim();
        let target = match address(text)? {
            Some(address) => Target::Address(address),
            None => Target::Url(Url::parse(text)?),
        };
        Ok(Self {
            text: text.to_owned(),
            target,
            from: None,
            method: "GET".to_owned(),
            headers: Vec::new(),
        })
    }

    /// Adds a header, written as `name: value`.
    ///
    /// # Errors
    ///
    /// When there is no colon, or no name before it.
    pub fn add_header(&mut self, text: &str) -> Result<(), QuestionError> {
        let (name, value) = text.split_once(':').unwrap_or_default();
        if name.trim().is_empty() {
            return Err(QuestionError::Header(text.to_owned()));
        }
        let name = name.trim().to_ascii_lowercase();
        self.headers.push((name, value.trim().to_owned()));
        Ok(())
    }

    /// The question as the query of a URL, for [`from_query`](Self::from_query).
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("target", &self.text);
        query.append_pair("method", &self.method);
        if let Some(from) = self.from {
            query.append_pair("from", &from.to_string());
        }
        for (name, value) in &self.headers {
            query.append_pair("header", &format!("{name}:{value}"));
        }
        query.finish()
    }

    /// Reads what [`to_query`](Self::to_query) wrote.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse).
    pub fn from_query(query: &str) -> Result<Self, QuestionError> {
        let pairs = || form_urlencoded::parse(query.as_bytes());
        let find = |name: &str| pairs().find(|(key, _)| key == name).map(|(_, value)| value);
        let mut question = Self::parse(&find("target").unwrap_or_default())?;
        if let Some(method) = find("method") {
            question.method = method.into_owned();
        }
        if let Some(from) = find("from") {
            let from = from
                .parse()
                .map_err(|_| QuestionError::From(from.into_owned()))?;
            question.from = Some(from);
        }
        for (_, header) in pairs().filter(|(key, _)| key == "header") {
            question.add_header(&header)?;
        }
        Ok(question)
    }

    /// The entries of hosts that could be for the request; none for a packet.
    pub fn host_patterns(&self) -> Vec<HostPattern> {
        let Target::Url(url) = &self.target else {
            return Vec::new();
        };
        let host = Host::parse(url.authority.as_bytes()).ok();
        let name = host.as_ref().and_then(Host::as_str);
        let exact = name.map(|name| HostPattern::Exact(name.into()));
        let wildcard = name.and_then(|name| name.split_once('.'));
        let wildcard = wildcard.map(|(_, suffix)| HostPattern::Wildcard {
            suffix: suffix.into(),
            span: WildcardSpan::OneLabel,
        });
        let both = exact.into_iter().chain(wildcard);
        both.chain([HostPattern::Any]).collect()
    }
}

impl Url {
    fn parse(text: &str) -> Result<Self, QuestionError> {
        let error = || QuestionError::Target(text.to_owned());
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let uri: Uri = with_scheme.parse().map_err(|_| error())?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            other => return Err(QuestionError::Scheme(other.unwrap_or_default().to_owned())),
        };
        let authority = uri.authority().ok_or_else(error)?.as_str();
        // A word alone is more likely a mistake than a host.
        if !text.contains("://") && !authority.contains('.') {
            return Err(error());
        }
        Ok(Self {
            https,
            authority: authority.to_owned(),
            path: match uri.path() {
                "" => "/".to_owned(),
                path => path.to_owned(),
            },
            query: uri.query().map(str::to_owned),
        })
    }

    /// The address and port, where the host is an address.
    pub fn address(&self) -> Option<(IpAddr, Protocol, Port)> {
        let port = if self.https { 443 } else { 80 };
        let text = self.authority.as_str();
        let address: SocketAddr = text.parse().ok().or_else(|| {
            let bare = text.trim_start_matches('[').trim_end_matches(']');
            Some(SocketAddr::new(bare.parse().ok()?, port))
        })?;
        let port = NonZeroU16::new(address.port())?;
        Some((address.ip(), Protocol::Tcp, port))
    }
}

/// None for what is no address.
fn address(text: &str) -> Result<Option<(IpAddr, Protocol, Port)>, QuestionError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Err(QuestionError::NoPort(
            address,
            SocketAddr::new(address, 80).to_string(),
        ));
    }
    let (address, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let Ok(address) = address.parse::<SocketAddr>() else {
        return Ok(None);
    };
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(QuestionError::Protocol(protocol.to_owned())),
    };
    let port = NonZeroU16::new(address.port());
    let port = port.ok_or_else(|| QuestionError::Target(text.to_owned()))?;
    Ok(Some((address.ip(), protocol, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_survives_the_way_to_the_agent() {
        for text in [
            "https://shop.example.com/cart?a=1&b=2",
            "[fd00::1]:53/udp",
            "10.96.0.1:443",
        ] {
            let mut question = Question::parse(text).unwrap();
            question.from = Some([10, 244, 1, 5].into());
            question.method = "POST".to_owned();
            question.add_header("X-Canary: a & b").unwrap();
            assert_eq!(Question::from_query(&question.to_query()), Ok(question));
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_in_a_sentence() {
        for (text, message) in [
            ("", "neither a URL"),
            ("shop", "neither a URL"),
            ("10.96.0.1", "has no port: ask like 10.96.0.1:80"),
            ("10.96.0.1:80/icmp", "tcp, udp or sctp"),
            ("10.96.0.1:0", "neither a URL"),
            ("ftp://shop.example.com/", "http or https"),
        ] {
            let error = Question::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn a_host_needs_no_scheme() {
        let question = Question::parse("shop.example.com:8080/cart").unwrap();
        let Target::Url(url) = question.target else {
            panic!("{question:?}");
        };
        assert_eq!(
            (url.https, &*url.authority, &*url.path),
            (false, "shop.example.com:8080", "/cart")
        );
    }
}
