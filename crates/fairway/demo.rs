//! `fairway demo`: a cluster on this machine, and what fairway does in it. Nothing that is shown is
//! made up, and an answer other than the expected one makes the demo fail.

mod agent;
mod cluster;
mod curl;
mod keep;
mod picture;
mod screen;
mod steps;
mod style;
mod traffic;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow};
use fairway_testkit::lab;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use self::cluster::Cluster;
use self::screen::Screen;
use crate::causes::with_causes;
use crate::config::Demo;

/// As shells report a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs the demo; the exit code says whether everything went as it should.
pub(crate) fn run(demo: Demo) -> anyhow::Result<ExitCode> {
    // Only a process with a single thread can enter a user namespace.
    if let Err(error) = lab::enter() {
        eprintln!("fairway demo: {error}");
        return Ok(ExitCode::FAILURE);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (outcome, directory) = runtime.block_on(until_interrupted(demo))?;
    match outcome {
        Ok(Outcome::Passed) => return Ok(ExitCode::SUCCESS),
        Ok(Outcome::Interrupted) => {
            remove(directory);
            return Ok(ExitCode::from(INTERRUPTED));
        }
        Ok(Outcome::Failed) => {}
        Err(error) if is_unread(&error) => return Ok(ExitCode::FAILURE),
        Err(error) => eprintln!("\nfairway demo: {}", with_causes(error.as_ref())),
    }
    agent::quote_logs(directory.path());
    let kept = directory.keep();
    eprintln!("\nLogs and manifests stay in {}", kept.display());
    Ok(ExitCode::FAILURE)
}

/// Whether the reader of a pipe went away, as `head` does.
fn is_unread(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

enum Outcome {
    Passed,
    Failed,
    Interrupted,
}

/// Shows everything, with a new temporary directory, which is returned with what came of it.
async fn until_interrupted(demo: Demo) -> anyhow::Result<(anyhow::Result<Outcome>, TempDir)> {
    // From here on the signals no longer end the process by themselves, and leave the directory.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let directory = tempfile::Builder::new().prefix("fairway-demo-").tempdir();
    let directory = directory.context("cannot make a temporary directory")?;
    let interrupted = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    };
    let outcome = show_until(demo, directory.path(), interrupted).await;
    Ok((outcome, directory))
}

/// The show runs on a thread of its own, so that it can be left at any moment: the end of this
/// process takes its threads along, with them the namespaces, and with those the agents.
async fn show_until(
    demo: Demo,
    directory: &Path,
    mut interrupted: impl AsyncFnMut(),
) -> anyhow::Result<Outcome> {
    let (sender, shown) = oneshot::channel();
    let place = directory.to_owned();
    thread::Builder::new()
        .name("demo".into())
        // Nobody waits any more after an interruption.
        .spawn(move || drop(sender.send(show(demo, &place))))?;
    let shown = tokio::select! {
        shown = shown => shown,
        () = interrupted() => return Ok(Outcome::Interrupted),
    };
    let (cluster, passed) = shown.map_err(|_| anyhow!("the demo panicked"))??;
    if demo.keep {
        interrupted().await;
    }
    drop(cluster);
    Ok(if passed {
        Outcome::Passed
    } else {
        Outcome::Failed
    })
}

/// Builds the cluster and shows it. Tells whether everything was as it should be.
fn show(demo: Demo, directory: &Path) -> anyhow::Result<(Cluster, bool)> {
    let start = Instant::now();
    let mut screen = Screen::new();
    screen.title(
        "fairway demo",
        "two nodes, pods and a load balancer in network namespaces of this machine",
    )?;
    let cluster = Cluster::start(directory)?;
    picture::show(&cluster, &mut screen)?;
    steps::all(&cluster, &mut screen)?;
    screen.summary(start.elapsed())?;
    if demo.keep {
        keep::show(&cluster, directory, &mut screen)?;
    }
    Ok((cluster, screen.passed()))
}

/// Removes the directory although the show may still write to it: at most the file under way comes
/// between, after which there is nothing to write to.
fn remove(directory: TempDir) {
    let path = directory.path().to_owned();
    for _ in 0..10 {
        if std::fs::remove_dir_all(&path).is_ok() {
            break;
        }
    }
}
