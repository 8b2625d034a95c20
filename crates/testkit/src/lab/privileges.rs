//! The right to make network namespaces: root has it, others get it from a user namespace.

use std::io;
use std::process::{Command, Stdio};
use std::thread;

use thiserror::Error;

use crate::sys;

/// Set for a test that runs again inside a user namespace, so that it does so once.
const INSIDE: &str = "FAIRWAY_TESTKIT_USER_NAMESPACE";

/// Network namespaces cannot be made here.
#[derive(Debug, Error)]
#[error(
    "cannot make network namespaces; run this as root, or allow unprivileged user namespaces:{}",
    advice()
)]
pub struct NotPermitted {
    source: io::Error,
}

/// Makes the process able to build labs, as root or inside a user namespace of its own.
///
/// Must come first in `main`: the kernel only lets a process with a single thread change its
/// user namespace. Afterwards an ordinary user appears to be root, to this process only. Tests
/// have threads already; they use [`test()`].
///
/// # Errors
///
/// Says what to change on the machine.
pub fn enter() -> Result<(), NotPermitted> {
    if probe().is_ok() {
        return Ok(());
    }
    let maps = sys::IdMaps::of_this_process();
    sys::unshare_user()
        .and_then(|()| maps.write())
        .and_then(|()| probe())
        .map_err(|source| NotPermitted { source })
}

/// Runs the body of a `#[test]` where labs can be built.
///
/// As root that is right here. For an ordinary user the test runs once more, alone, in a child
/// process inside a user namespace, and passes if it passes there.
///
/// # Panics
///
/// When the body does, and when labs cannot be built: a test is never skipped.
pub fn test(body: impl FnOnce()) {
    match probe() {
        Ok(()) => body(),
        Err(source) if std::env::var_os(INSIDE).is_some() => not_permitted(source),
        Err(_) => test_in_child(),
    }
}

/// Whether root here is somebody else outside.
pub(super) fn in_user_namespace() -> bool {
    // "inside outside length": the initial namespace maps every id to itself.
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let mut words = map.split_whitespace().map(str::parse);
    let mut next = || words.next().and_then(Result::ok);
    [next(), next(), next()] != [Some(0), Some(0), Some(u32::MAX)]
}

fn test_in_child() {
    let thread = thread::current();
    let name = thread
        .name()
        .expect("the test harness names each thread after its test");
    // Not the executable's path: the user may have no right to follow it.
    let mut child = Command::new("/proc/self/exe");
    child
        .args(["--exact", name, "--include-ignored", "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null());
    sys::enter_user_namespace(&mut child);
    sys::die_with_parent(&mut child);
    let output = child
        .output()
        .unwrap_or_else(|source| not_permitted(source));
    let stdout = String::from_utf8_lossy(&output.stdout);
    print!("{stdout}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    // A name that matches no test would pass too.
    let ran = stdout.contains("test result: ok. 1 passed");
    assert!(
        output.status.success() && ran,
        "the test failed in its user namespace"
    );
}

fn not_permitted(source: io::Error) -> ! {
    let error = NotPermitted { source };
    panic!("{error}\n{}", error.source);
}

/// Whether this process may make a network namespace: tries it on a thread of its own.
fn probe() -> io::Result<()> {
    thread::scope(|scope| {
        let attempt = thread::Builder::new()
            .name("probe".into())
            .spawn_scoped(scope, sys::unshare_network)?;
        attempt
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the probing thread panicked")))
    })
}

/// The settings that may forbid unprivileged user namespaces, with what this machine has.
fn advice() -> String {
    [
        ("kernel.unprivileged_userns_clone", "1"),
        ("user.max_user_namespaces", "a number above 0"),
        ("kernel.apparmor_restrict_unprivileged_userns", "0"),
    ]
    .into_iter()
    .filter_map(|(name, wanted)| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let present = std::fs::read_to_string(path).ok()?;
        Some(format!(
            "\n  sysctl {name} is {}, wanted {wanted}",
            present.trim()
        ))
    })
    .collect()
}
