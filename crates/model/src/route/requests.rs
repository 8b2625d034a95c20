use std::sync::Arc;

/// What requests may be and ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPolicy {
    /// Whether clear-text requests are sent to https; absent means as for the host.
    pub https: Option<bool>,
    /// Most bytes of a body; more is answered with 413.
    pub max_body: u64,
    /// Protocols that a client may switch to, lower-case. A wish for another one is not passed on.
    pub upgrades: Arc<[Arc<str>]>,
}

impl Default for RequestPolicy {
    /// Bodies of any size, and WebSocket.
    fn default() -> Self {
        Self {
            https: None,
            max_body: u64::MAX,
            upgrades: Arc::from([Arc::from("websocket")]),
        }
    }
}
