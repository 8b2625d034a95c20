//! Listeners' connections, from accept to the task that serves them.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::Worker;
use crate::downstream::arrival::Arrival;
use crate::downstream::connection;
use crate::listen::{Listener, Transport};

/// After a failed accept. The usual reason is the file descriptor limit, which only time can help.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that are closed then, if they are idle. nginx's number for this.
const SHED: usize = 32;

impl Worker {
    /// Accepts until the drain begins, and then what the kernel had accepted by that time.
    pub(super) async fn accept(self: Rc<Self>, socket: TcpListener, of: Listener) {
        let transport = of.transport;
        loop {
            let changed = self.changed.notified();
            let accepted = tokio::select! {
                biased;
                accepted = socket.accept() => accepted,
                () = changed => continue,
                () = std::future::ready(()), if self.draining().is_some() => {
                    return self.accept_waiting(socket, transport);
                }
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.make_room().await;
                    self.clone().welcome(transport, stream, peer);
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    self.shard.accept_errors.add(1);
                    self.complain(&error);
                    self.shed(SHED);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Returns when one more connection may be served.
    async fn make_room(&self) {
        while self.connections.get() >= self.config.limits.connections_per_worker
            && self.draining().is_none()
        {
            let changed = self.changed.notified();
            self.shed(1);
            // Who is asked to make room may just have got something to do: then somebody else is asked.
            let _ = tokio::time::timeout(ACCEPT_PAUSE, changed).await;
        }
    }

    fn welcome(self: Rc<Self>, transport: Transport, stream: TcpStream, peer: SocketAddr) {
        // Answers are complete messages; waiting for more would only delay them.
        if stream.set_nodelay(true).is_err() {
            return; // gone already
        }
        self.clock.refresh();
        let open = Open::new(self.clone());
        tokio::task::spawn_local(async move {
            let arrival = Arrival::of(&self, transport, stream, peer).await;
            if let Some(arrival) = arrival {
                connection::serve(self, arrival).await;
            }
            drop(open);
        });
    }

    /// Accepts what waits in the kernel, of which the runtime may not have been told yet.
    fn accept_waiting(self: Rc<Self>, listener: TcpListener, transport: Transport) {
        let Ok(listener) = listener.into_std() else {
            return;
        };
        while self.connections.get() < self.config.limits.connections_per_worker {
            match listener.accept() {
                Ok((stream, peer)) => {
                    let stream = stream
                        .set_nonblocking(true)
                        .and_then(|()| TcpStream::from_std(stream));
                    if let Ok(stream) = stream {
                        self.clone().welcome(transport, stream, peer);
                    }
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(_) => return, // nobody waits any more
            }
        }
    }

    /// Says once in a while that connections cannot be accepted.
    fn complain(&self, error: &io::Error) {
        self.clock.refresh();
        if self.may_complain() {
            tracing::warn!(%error, "cannot accept connections for a moment, and close idle ones; check the limit of open files");
        }
    }
}

/// Errors of accept that mean that one client gave up, accept(2).
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::TimedOut
    )
}

/// Counts a connection for as long as it exists, however its task ends.
struct Open(Rc<Worker>);

impl Open {
    fn new(worker: Rc<Worker>) -> Self {
        worker.connections.set(worker.connections.get() + 1);
        worker.shard.accepted.add(1);
        worker.changed.notify_waiters();
        Self(worker)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
        self.0.shard.closed.add(1);
        self.0.changed.notify_waiters();
    }
}
