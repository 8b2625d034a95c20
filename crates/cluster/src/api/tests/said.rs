//! What operators read: each thing once.

use std::io;
use std::sync::{Arc, Mutex};

use fairway_testkit::apiserver::{Effect, Failure, Fault};
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// Lines of our own log, from info on, of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("warn,fairway_cluster=info")
            .with_writer(log.clone())
            .without_time()
            .with_ansi(false)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines since the last call.
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .filter(|line| line.contains("fairway_cluster"))
            .map(str::to_owned)
            .collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[track_caller]
fn assert_line(lines: &[String], level: &str, text: &str) {
    let [line] = lines else {
        panic!("one line expected: {lines:#?}");
    };
    assert!(line.contains(level) && line.contains(text), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_and_comes_back() {
    let (log, _guard) = Log::capture();
    let mut bench = Bench::started(&both(), |_| {}).await;
    bench.server.drop_connections();
    bench.after(HOUR).await;
    assert!(log.take().is_empty(), "connections end; that is no news");

    bench.server.go_away();
    bench.after(10 * HOUR).await;
    let text = "cannot reach the API server: connection refused; keeping the last state, retrying";
    assert_line(&log.take(), "WARN", text);

    bench.server.come_back();
    bench.after(HOUR).await;
    // Ten hours, less the first pause: 35,9.. or 36,0.. seconds.
    assert_line(&log.take(), "INFO", "the API server answers again after 3");
}

#[tokio::test(start_paused = true)]
async fn a_missing_right() {
    let (log, _guard) = Log::capture();
    let mut bench = Bench::start(&both(), |server| {
        server.inject(Fault::forbid("endpointslices").on(Verb::List));
    });
    bench.after(HOUR).await;
    let text = "not allowed to list endpointslices.discovery.k8s.io: fairway's ClusterRole needs the rule \
                {apiGroups: [\"discovery.k8s.io\"], resources: [\"endpointslices\"], verbs: [\"list\", \"watch\"]}";
    assert_line(&log.take(), "WARN", text);

    bench.server.heal();
    bench
        .server
        .inject(Fault::forbid("endpointslices").on(Verb::Watch));
    bench.after(HOUR).await;
    let lines = log.take();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_line(
        &lines[..1],
        "INFO",
        "serves endpointslices.discovery.k8s.io again",
    );
    assert_line(&lines[1..], "WARN", "not allowed to watch endpointslices");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_not_accepted() {
    let (log, _guard) = Log::capture();
    let mut bench = Bench::start(&both(), |server| {
        server.inject(Fault::new(Effect::Answer(Failure::unauthorized())));
    });
    bench.after(HOUR).await;
    assert_line(
        &log.take(),
        "WARN",
        "does not accept our credentials: Unauthorized (status 401); check",
    );
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_fails() {
    let (log, _guard) = Log::capture();
    let mut bench = Bench::start(&both(), |server| {
        let trouble = Failure::internal("etcdserver: no leader\nand more");
        server.inject(Fault::new(Effect::Answer(trouble)).of("services"));
    });
    bench.after(HOUR).await;
    let text = "refuses to list services: etcdserver: no leader (status 500); keeping";
    assert_line(&log.take(), "WARN", text);
}
