//! Half an hour of everything at once: the real agent on a node, requests of seven kinds, and an API
//! server where endpoints and routes change 20 times a second and certificates every few seconds.
//!
//! `cargo bench --bench soak [-- OPTIONS]`, as root:
//!
//! * `--minutes 30`: for how long; 30 unless told
//! * `--quick`: a few seconds, to see that it works; growth is not judged
//!
//! Prints Markdown. Ends with 1 when a request failed, a change was not seen, or something grew: what
//! is measured is whether it lasts, at rates that leave a busy machine time for other work.

mod changes;
mod load;
mod process;
mod report;
mod site;
mod tally;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use process::Watch;
use site::Site;

const MINUTE: Duration = Duration::from_secs(60);

/// Long enough for memory, pools and ticket keys to come to what they stay at.
const WARM_UP: Duration = Duration::from_secs(3 * 60);

/// Connections to pods that nobody needs are closed after 55 s.
const COOL_DOWN: Duration = Duration::from_secs(70);

fn main() -> ExitCode {
    if let Err(error) = fairway_testkit::lab::enter() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let plan = Plan::from_arguments();
    let site = Site::start();
    let idle = process::Sample::of(site.agent().id());
    let watch = Watch::start(site.agent().id());
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let (tally, changes) = std::thread::scope(|scope| {
        let load = scope.spawn(|| load::run(&site, &stop));
        let changes = scope.spawn(|| changes::run(&site, &stop));
        while started.elapsed() < plan.duration {
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(site.agent().exit_status(), None, "the agent ended");
            if load.is_finished() || changes.is_finished() {
                break; // by a panic, which joining passes on
            }
        }
        stop.store(true, Ordering::Release);
        let load = load.join().expect("the load runs to its end");
        (load, changes.join().expect("changes go on to the end"))
    });
    let lasted = started.elapsed();
    let samples = watch.finish();
    std::thread::sleep(plan.cool_down);
    let after = process::Sample::of(site.agent().id());
    let ended = site.agent().terminate().expect("the agent ends");
    assert!(ended.success(), "{ended}");

    let outcome = report::Outcome {
        lasted,
        tally,
        changes,
        samples,
        idle,
        after: (!plan.cool_down.is_zero()).then_some(after),
        warm_up: plan.warm_up,
    };
    println!("{outcome}");
    match outcome.complaints().is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// What was asked for.
struct Plan {
    duration: Duration,
    /// What happens before does not count as growth; None where all of it is too short.
    warm_up: Option<Duration>,
    cool_down: Duration,
}

impl Plan {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        if arguments.iter().any(|argument| argument == "--quick") {
            return Self {
                duration: Duration::from_secs(5),
                warm_up: None,
                cool_down: Duration::ZERO,
            };
        }
        let at = (arguments.iter()).position(|argument| argument == "--minutes");
        let minutes = at.map_or(30, |at| {
            let minutes = arguments.get(at + 1).and_then(|it| it.parse().ok());
            minutes.expect("--minutes: a whole number")
        });
        let duration = MINUTE * minutes;
        Self {
            duration,
            warm_up: (duration > 3 * WARM_UP).then_some(WARM_UP),
            cool_down: COOL_DOWN,
        }
    }
}
