//! The system calls that the standard library has no safe way to.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, getegid, geteuid, getpid, getppid, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread into a new, empty network namespace.
pub(crate) fn unshare_network() -> io::Result<()> {
    // SAFETY: only `UnshareFlags::FILES` affects what other threads may assume.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?)
}

/// Moves the process into a new user namespace; it must have one thread only.
pub(crate) fn unshare_user() -> io::Result<()> {
    // SAFETY: as above.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }?)
}

/// Makes the kernel kill the child when the thread that starts it ends, for whatever reason.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = getpid();
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the signal was asked for.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    };
    // SAFETY: between fork and exec the closure only makes system calls and builds an error
    // that needs no memory, so it cannot meet a lock that another thread held at the fork.
    unsafe { command.pre_exec(tie) };
}

/// Starts the child as root of a new user namespace, in which it may make network namespaces.
pub(crate) fn enter_user_namespace(command: &mut Command) {
    let maps = IdMaps::of_this_process();
    let enter = move || {
        unshare_user()?;
        maps.write()
    };
    // SAFETY: as above; the maps were composed before the fork.
    unsafe { command.pre_exec(enter) };
}

/// What makes this process's user and group root in its new user namespace.
pub(crate) struct IdMaps {
    users: String,
    groups: String,
}

impl IdMaps {
    /// To be called before the namespace is entered: inside, the ids read as "nobody".
    pub(crate) fn of_this_process() -> Self {
        Self {
            users: format!("0 {} 1", geteuid().as_raw()),
            groups: format!("0 {} 1", getegid().as_raw()),
        }
    }

    /// Writes the maps of the calling process; allocates nothing.
    pub(crate) fn write(&self) -> io::Result<()> {
        // Without "deny" an ordinary user may not write a group map (user_namespaces(7)).
        for (file, content) in [
            (c"/proc/self/setgroups", "deny"),
            (c"/proc/self/uid_map", &self.users),
            (c"/proc/self/gid_map", &self.groups),
        ] {
            let file = rustix::fs::open(file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            rustix::io::write(file, content.as_bytes())?;
        }
        Ok(())
    }
}
