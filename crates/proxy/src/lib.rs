//! The ingress router's data path: an HTTP/1.1 and HTTP/2 reverse proxy with one thread per core.
//!
//! ```text
//! listen --> worker ---> tls ----------> downstream::connection --> exchange ---------------> dispatch -> upstream
//! sockets    thread,     certificate     socket, limits, drain,     gate, route, rewrite      endpoints,  pool,
//!            runtime     by name, mTLS   tunnel, orderly end        ... response to client    retries     balance
//! ```
//!
//! A worker owns everything that a request touches: runtime, listeners, upstream connections, balancing
//! state, counters and log buffer. Cores share only routes and certificates, which are read through an [`ArcSwap`], so
//! no request ever waits for a lock. Bodies are streamed, never buffered; every wait has a limit.
//!
//! Errors are values until `rescue` turns them into a response, a log field and a metric.
//!
//! [`ArcSwap`]: arc_swap::ArcSwap

mod access_log;
mod body;
mod clock;
mod config;
mod deadline;
mod dispatch;
mod downstream;
mod error;
mod exchange;
mod forwarding;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod grpc;
mod handle;
mod hop_by_hop;
mod listen;
mod local_executor;
#[cfg(feature = "measuring")]
#[doc(hidden)]
pub mod measuring;
mod memory;
mod metrics;
mod observed;
mod random;
mod record;
mod redirect;
mod rescue;
mod route_state;
mod stream;
mod tls;
mod trace;
mod tunnel;
mod upstream;
mod worker;

pub use access_log::{FormatError, LogFormat};
pub use config::{AccessLog, Config, Hsts, Limits, Protocol, ProxyProtocol, Timeouts};
pub use handle::{Handle, ServeError};
pub use listen::{BindError, Bound, ListeningSockets, bind, bind_after};
pub use memory::{MemoryUser, MemoryWatermark};
pub use metrics::{ControllerLabels, Metrics, MetricsOptions, RouteTraffic};
pub use tls::{ClientAuth, Handling, HostTls, SelfSignedError, TlsSettings, TlsTable, self_signed};
pub use trace::{Span, SpanRoute, SpanSender, Tracing, spans};
