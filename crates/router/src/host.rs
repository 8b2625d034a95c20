/// The host of a request, ready to be matched: lower-case, without port and trailing dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(Option<Box<str>>);

/// The request's host cannot be one: answer 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHost;

impl Host {
    /// Parses the value of a Host header or the authority of a request target.
    pub fn parse(_value: &[u8]) -> Result<Self, InvalidHost> {
        Err(InvalidHost)
    }

    /// The host of an HTTP/1.0 request without Host header: matches host-less routes only.
    pub fn none() -> Self {
        Self(None)
    }
}
