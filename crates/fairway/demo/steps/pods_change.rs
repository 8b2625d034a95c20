//! A pod goes and another one comes while requests keep coming.

use std::time::{Duration, Instant};

use fairway_testkit::Family;

use crate::demo::cluster::{API, Cluster};
use crate::demo::curl::Curl;
use crate::demo::screen::Screen;
use crate::demo::style::{count, milliseconds};
use crate::demo::traffic::{LOOPS, Request, Traffic, by_pod};

const LEAVING: &str = "api-2";
const COMING: &str = "api-3";
const COMING_TO: &str = "node-1";

/// So many requests are made before anything changes, and after each change.
const MANY: usize = 300;
/// A pod that got none of so many requests in a row gets none any more: its share was half.
const QUIET: usize = 100;
/// What is promised for a change of a file.
const PROMISED: Duration = Duration::from_secs(1);

pub(super) fn show(cluster: &Cluster, screen: &mut Screen) -> anyhow::Result<()> {
    screen.step("A pod goes, another one comes, and no client notices")?;
    let caller = cluster.lab.pod("storefront-2");
    let door = cluster.front_door(Family::V4);
    let curls = [
        Curl::new(caller.ns(), cluster.cluster_ip(API, Family::V6)?),
        Curl::new(cluster.lab.client().ns(), door).host("shop.example.com", "/api"),
    ];
    for curl in &curls {
        screen.command(curl.machine(), format_args!("while true; do {curl}; done"))?;
    }
    screen.aside(format_args!(
        "{LOOPS} of each at a time; every request is a connection of its own."
    ))?;
    screen.blank()?;

    let traffic = curls.each_ref().map(Traffic::start);
    let changes = change_pods(cluster, &traffic)?;
    let requests = traffic.map(Traffic::stop);
    let columns = requests.each_ref().map(|it| Column::of(it, &changes));
    show_columns(screen, &columns, &changes)
}

/// When the files were in place, and whether requests kept coming.
struct Changes {
    removed: Instant,
    added: Instant,
    orderly: bool,
}

fn change_pods(cluster: &Cluster, traffic: &[Traffic]) -> anyhow::Result<Changes> {
    let wait = |wanted: &dyn Fn(&[Request]) -> bool| traffic.iter().all(|it| it.wait(wanted));
    let wait_for_many = || {
        // Each its own: one kind takes longer than the other.
        let wanted: Vec<_> = traffic.iter().map(|it| it.done() + MANY).collect();
        let mut each = traffic.iter().zip(wanted);
        each.all(|(it, wanted)| it.wait(|requests| requests.len() >= wanted))
    };
    let mut orderly = wait_for_many();

    let mut staying = cluster.pods(API);
    staying.retain(|pod| pod.name() != LEAVING);
    let removed = cluster.publish(API, &staying)?;
    orderly &= wait(&|requests| {
        let last = requests.iter().rev().take(QUIET);
        let since = last.take_while(|it| it.began > removed && !it.is_by(LEAVING));
        since.count() == QUIET
    });
    // As a kubelet does: nobody is sent there any more, so the pod ends what it does, and goes.
    let leaving = cluster.lab.pod(LEAVING);
    orderly &= leaving.echo().drain(Duration::from_secs(5));
    cluster.lab.remove_pod(LEAVING)?;
    orderly &= wait_for_many();

    cluster.lab.add_pod(COMING, COMING_TO)?;
    let added = cluster.publish(API, &cluster.pods(API))?;
    orderly &= wait(&|requests| requests.iter().rev().any(|it| it.is_by(COMING)));
    orderly &= wait_for_many();
    Ok(Changes {
        removed,
        added,
        orderly,
    })
}

/// What came of one kind of requests.
struct Column {
    at_first: String,
    /// When the last request began that the leaving pod answered, after the file was in place.
    last: Option<Duration>,
    then: String,
    /// When the first request began that the new pod answered, after the file was in place.
    first: Option<Duration>,
    finally: String,
    requests: usize,
    slowest: Duration,
    failed: usize,
    first_failure: Option<String>,
}

impl Column {
    fn of(requests: &[Request], changes: &Changes) -> Self {
        let by = |pod: &'static str| requests.iter().filter(move |request| request.is_by(pod));
        let last = by(LEAVING).map(|request| request.began).max();
        let first = by(COMING).map(|request| request.began).min();
        let between = |from: Option<Instant>, to: Option<Instant>| {
            let within = requests.iter().filter(move |request| {
                from.is_none_or(|from| request.began > from)
                    && to.is_none_or(|to| request.began < to)
            });
            by_pod(within)
        };
        let failures = requests.iter().filter_map(|it| it.answer.as_ref().err());
        Self {
            at_first: between(None, Some(changes.removed)),
            last: last.map(|last| last.saturating_duration_since(changes.removed)),
            then: between(last, Some(changes.added)),
            first: first.map(|first| first.saturating_duration_since(changes.added)),
            finally: between(first, None),
            requests: requests.len(),
            slowest: requests.iter().map(|it| it.took).max().unwrap_or_default(),
            failed: failures.clone().count(),
            first_failure: failures.clone().next().cloned(),
        }
    }
}

fn show_columns(
    screen: &mut Screen,
    columns: &[Column; 2],
    changes: &Changes,
) -> anyhow::Result<()> {
    let row = |name: &str, cell: &dyn Fn(&Column) -> String| {
        let [left, right] = columns.each_ref().map(cell);
        format!("{name:<30}  {left:<26}  {right}")
    };
    let plain = |name: &str, cell: &dyn Fn(&Column) -> String| format!("    {}", row(name, cell));
    let file = API.file();

    screen.aside(format_args!(
        "    {:<32}{:<28}by Host header",
        "", "by ClusterIP"
    ))?;
    screen.line(plain("at first", &|it| it.at_first.clone()))?;
    screen.line(format_args!(
        "{LEAVING} is taken out of {file}, finishes and ends"
    ))?;
    screen.check(
        &row("its last request began after", &|it| moment(it.last)),
        late(columns.each_ref().map(|it| it.last)),
    )?;
    screen.line(plain("from then on", &|it| it.then.clone()))?;
    screen.line(format_args!(
        "{COMING} starts on {COMING_TO} and is put into {file}"
    ))?;
    screen.check(
        &row("its first request began after", &|it| moment(it.first)),
        late(columns.each_ref().map(|it| it.first)),
    )?;
    screen.line(plain("from then on", &|it| it.finally.clone()))?;
    screen.blank()?;
    screen.line(plain("requests", &|it| count(it.requests)))?;
    screen.line(plain("slowest", &|it| milliseconds(it.slowest)))?;
    let failure = columns.iter().find_map(|it| it.first_failure.as_ref());
    let wrong = match failure {
        Some(failure) => Some(format!("none should fail; one did: {failure}")),
        None if !changes.orderly => Some("requests should keep coming".to_owned()),
        None => None,
    };
    screen.check(&row("failed", &|it| count(it.failed)), wrong)?;
    Ok(())
}

fn moment(after: Option<Duration>) -> String {
    after.map_or("never".to_owned(), milliseconds)
}

fn late(moments: [Option<Duration>; 2]) -> Option<String> {
    let in_time = |after: Option<Duration>| after.is_some_and(|after| after < PROMISED);
    let all = moments.into_iter().all(in_time);
    (!all).then(|| "a change should take effect within a second".to_owned())
}
