use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Output};
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, gettid, move_into_link_name_space};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::sysctl::{self, Role};
use super::{link, privileges};
use crate::ask::PortTurns;
use crate::sys;

/// A network namespace that this process keeps alive; clones are the same namespace.
///
/// It is held by a thread and a file descriptor and has no name in the file system: when the last
/// clone is dropped, or the process dies in whatever way, the kernel removes it with all that is
/// in it.
#[derive(Clone)]
pub struct Namespace(Arc<Inner>);

struct Inner {
    name: String,
    file: OwnedFd,
    path: String,
    runtime: Handle,
    netlink: rtnetlink::Handle,
    /// Held during a dump: a netlink socket can do one at a time.
    dumping: tokio::sync::Mutex<()>,
    port_turns: PortTurns,
    stop: Option<oneshot::Sender<()>>,
    keeper: Option<thread::JoinHandle<()>>,
}

/// A namespace that is being made, so that several can be made at the same time.
pub(super) struct Starting {
    name: String,
    keeper: thread::JoinHandle<()>,
    stop: oneshot::Sender<()>,
    ready: mpsc::Receiver<io::Result<Ready>>,
}

struct Ready {
    file: OwnedFd,
    path: String,
    runtime: Handle,
    netlink: rtnetlink::Handle,
}

impl Namespace {
    /// Makes an empty namespace, its loopback device up.
    ///
    /// # Errors
    ///
    /// Without the right to do so, see [`enter`](super::enter) and [`test`](super::test()).
    pub fn new(name: &str) -> Result<Self> {
        let namespace = Starting::new(name, Role::Host)?.finish()?;
        block_on_elsewhere(link::loopback_up(&namespace))??;
        Ok(namespace)
    }

    /// The name it was made with; two namespaces may share one.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where other programs find it while it lives.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What a person types before a command to run it inside, from another terminal.
    pub fn enter_command(&self) -> String {
        let net = self.path();
        if privileges::in_user_namespace() {
            let user = format!("/proc/{}/ns/user", std::process::id());
            return format!("nsenter --preserve-credentials --user={user} --net={net}");
        }
        format!("nsenter --net={net}")
    }

    /// Runs blocking code on a new thread inside the namespace and waits for it.
    ///
    /// Sockets that the code opens, and files under `/proc/thread-self/net` and `/proc/sys/net`,
    /// are the namespace's. Panics of the code are passed on.
    pub fn run<T: Send>(&self, code: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name(self.0.name.clone())
                .spawn_scoped(scope, || {
                    self.enter_thread();
                    code()
                })
                .expect("a thread can be started");
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs blocking code on a thread of its own inside the namespace.
    pub fn thread<T: Send + 'static>(
        &self,
        code: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let namespace = self.clone();
        thread::Builder::new()
            .name(self.0.name.clone())
            .spawn(move || {
                namespace.enter_thread();
                code()
            })
            .expect("a thread can be started")
    }

    /// Drives a future to its end on a new thread inside the namespace and waits for it; works
    /// within a runtime too, which then stands still meanwhile.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        self.run(|| local_runtime().block_on(future))
    }

    /// Starts a task on the namespace's own runtime thread. It ends with the namespace.
    pub fn spawn_task<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.runtime.spawn(task)
    }

    /// Starts a program inside the namespace. It is killed when the namespace is dropped and when
    /// this process ends, in whatever way.
    ///
    /// # Errors
    ///
    /// As [`Command::spawn`].
    pub fn spawn(&self, mut command: Command) -> io::Result<Child> {
        sys::die_with_parent(&mut command);
        // A child inherits the namespace of the thread that starts it and dies with that thread,
        // hence on the thread that lives as long as the namespace.
        self.on_keeper(move || command.spawn())
    }

    /// Runs a program inside the namespace and collects its output.
    ///
    /// # Errors
    ///
    /// As [`Command::output`]; a non-zero exit status is no error.
    pub fn output(&self, mut command: Command) -> io::Result<Output> {
        sys::die_with_parent(&mut command);
        self.run(move || command.output())
    }

    pub(super) fn netlink(&self) -> &rtnetlink::Handle {
        &self.0.netlink
    }

    pub(super) fn dumping(&self) -> &tokio::sync::Mutex<()> {
        &self.0.dumping
    }

    pub(crate) fn port_turns(&self) -> &PortTurns {
        &self.0.port_turns
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }

    fn enter_thread(&self) {
        move_into_link_name_space(self.file(), Some(LinkNameSpaceType::Network))
            .expect("who made a network namespace may enter it");
    }

    fn on_keeper<T: Send + 'static>(
        &self,
        code: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.spawn_task(async move {
            // Fails only when the waiting thread is gone.
            let _ = sender.send(code());
        });
        receiver
            .recv()
            .map_err(|_| io::Error::other("the namespace's thread has ended"))?
    }
}

impl AsRef<Namespace> for Namespace {
    fn as_ref(&self) -> &Namespace {
        self
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({} {})", self.0.name, self.0.path)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(keeper) = self.keeper.take() else {
            return;
        };
        // The last clone may be owned by a task of the keeper itself, which cannot wait for itself.
        if keeper.thread().id() != thread::current().id() {
            // A panic there has been reported by the panic hook.
            let _ = keeper.join();
        }
    }
}

impl Starting {
    pub(super) fn new(name: &str, role: Role) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (sender, ready) = mpsc::sync_channel(1);
        let keeper = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || keep(role, &sender, stopped))
            .context("cannot start a thread for a namespace")?;
        Ok(Self {
            name: name.to_owned(),
            keeper,
            stop,
            ready,
        })
    }

    pub(super) fn finish(self) -> Result<Namespace> {
        let ready = self
            .ready
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
            .with_context(|| format!("cannot make the network namespace {}", self.name))?;
        Ok(Namespace(Arc::new(Inner {
            name: self.name,
            file: ready.file,
            path: ready.path,
            runtime: ready.runtime,
            netlink: ready.netlink,
            dumping: tokio::sync::Mutex::default(),
            port_turns: PortTurns::default(),
            stop: Some(self.stop),
            keeper: Some(self.keeper),
        })))
    }
}

/// The life of a namespace's own thread: make it, say so, run its tasks until told to stop.
fn keep(role: Role, ready: &mpsc::SyncSender<io::Result<Ready>>, stopped: oneshot::Receiver<()>) {
    let runtime = match make(role) {
        Ok((runtime, made)) => {
            if ready.send(Ok(made)).is_err() {
                return;
            }
            runtime
        }
        Err(error) => {
            // Nobody waits any more if this fails.
            let _ = ready.send(Err(error));
            return;
        }
    };
    // An error means that the sender was dropped, which is how the namespace is told to end.
    let _ = runtime.block_on(stopped);
}

fn make(role: Role) -> io::Result<(tokio::runtime::Runtime, Ready)> {
    sys::unshare_network()?;
    sysctl::prepare(role)?;
    let file = File::open("/proc/thread-self/ns/net")?.into();
    let path = format!(
        "/proc/{}/task/{}/ns/net",
        std::process::id(),
        gettid().as_raw_nonzero()
    );
    let runtime = local_runtime();
    let netlink = {
        let _context = runtime.enter();
        let (connection, handle, _notifications) = rtnetlink::new_connection()?;
        runtime.spawn(connection);
        handle
    };
    let ready = Ready {
        file,
        path,
        runtime: runtime.handle().clone(),
        netlink,
    };
    Ok((runtime, ready))
}

fn local_runtime() -> tokio::runtime::Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs three file descriptors")
}

/// Drives a future to its end on a thread without a runtime, whatever the caller runs on.
pub(super) fn block_on_elsewhere<F>(future: F) -> Result<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    thread::scope(|scope| scope.spawn(|| local_runtime().block_on(future)).join())
        .map_err(|_| anyhow!("a thread panicked"))
}
