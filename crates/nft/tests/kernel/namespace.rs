//! Runs a test in a network namespace of its own.

#![allow(unsafe_code)]

use std::process::Command;
use std::thread;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Set in a process that was started anew as root of a user namespace.
const INSIDE: &str = "FAIRWAY_TEST_INSIDE_USER_NAMESPACE";

/// Runs `test` on a thread in a new network namespace, which ends with the thread and the
/// processes it starts. Without root it takes a user namespace, and fails where it may not.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    if !rustix::process::geteuid().is_root() && std::env::var_os(INSIDE).is_none() {
        return in_user_namespace();
    }
    let name = thread::current().name().unwrap_or("test").to_owned();
    let result = thread::Builder::new()
        .name(name)
        .spawn(|| {
            // SAFETY: a network namespace does not touch memory or file descriptors, and sockets
            // that exist keep the namespace they were made in.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect(
                "a new network namespace: these tests need root, or unprivileged user namespaces",
            );
            test();
        })
        .expect("a thread")
        .join();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Runs iproute2 in the namespace of this thread.
pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.expect("iproute2 is installed").success());
}

/// Runs `test` without privileges on the host, though with all of them in its namespaces.
pub(crate) fn in_namespace_without_privileges(test: impl FnOnce() + Send + 'static) {
    if std::env::var_os(INSIDE).is_none() {
        in_user_namespace();
    } else {
        in_namespace(test);
    }
}

/// A process with several threads, as every test runner is, cannot enter a user namespace, so the
/// test is run again by a process that starts in one.
fn in_user_namespace() {
    let test = thread::current()
        .name()
        .expect("test threads have the test's name")
        .to_owned();
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(std::env::current_exe().expect("the test binary"))
        .args(["--exact", &test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .expect(
            "these tests need root, or unshare(1) of util-linux and unprivileged user namespaces",
        );
    assert!(
        status.success(),
        "{test} failed in its user namespace, or there may be none: {status}"
    );
}
