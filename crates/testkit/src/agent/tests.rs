use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;

use super::*;
use crate::lab;

/// The test program itself, told to run one of the tests below, stands for fairway.
fn pretend(namespace: &Namespace, role: &str) -> Agent {
    let role = format!("agent::tests::{role}");
    let arguments = ["--exact", &role, "--ignored", "--nocapture"];
    Agent::spawn(namespace, Path::new("/proc/self/exe"), arguments).unwrap()
}

#[test]
#[ignore = "no test: a program for the tests of this file"]
fn a_healthy_agent() {
    eprintln!("starting");
    let listener = TcpListener::bind(Agent::HEALTH).unwrap();
    for (number, stream) in listener.incoming().enumerate() {
        // Not ready at first.
        let status = if number < 2 { 503 } else { 200 };
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        let answer = format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        eprintln!("answered {status}");
    }
}

#[test]
#[ignore = "no test: a program for the tests of this file"]
fn a_failing_agent() {
    panic!("the port is in use");
}

#[test]
fn readiness_logs_and_signals() {
    lab::test(|| {
        let namespace = Namespace::new("node").unwrap();
        for signal in [Signal::TERM, Signal::KILL] {
            let agent = pretend(&namespace, "a_healthy_agent");
            agent.wait_ready().unwrap();
            agent
                .wait_for_log("answered 200", Duration::from_secs(10))
                .unwrap();
            assert!(agent.stderr().starts_with("starting\nanswered 503\n"));
            assert!(agent.stdout().contains("running 1 test"));
            assert_eq!(agent.exit_status(), None);
            let status = match signal {
                Signal::TERM => agent.terminate(),
                _ => agent.kill(),
            };
            assert_eq!(status.unwrap().signal(), Some(signal.as_raw()));
        }
        // Dropping one ends it too, or the next one could not listen.
        for _ in 0..2 {
            pretend(&namespace, "a_healthy_agent").wait_ready().unwrap();
        }
    });
}

#[test]
fn an_agent_that_ends_is_reported_with_its_log() {
    lab::test(|| {
        let namespace = Namespace::new("node").unwrap();
        let agent = pretend(&namespace, "a_failing_agent");
        let error = agent.wait_ready().unwrap_err().to_string();
        assert!(
            error.starts_with("the agent ended: exit status: 101"),
            "{error}"
        );
        assert!(error.contains("the port is in use"), "{error}");
    });
}
