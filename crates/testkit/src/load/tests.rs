use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::ask::Failure;
use crate::echo::Echo;
use crate::lab::{self, Lab};
use crate::{Balancer, Family, ask, eventually};

#[test]
fn churn_counts_answers_and_failures() {
    lab::test(|| {
        let lab = Lab::builder().nodes(2).pods_per_node(1).build().unwrap();
        let servers = lab.pods().into_iter().flat_map(|pod| {
            Family::BOTH.map(|family| SocketAddr::new(pod.ip(family), Echo::LINES))
        });
        let servers: Vec<_> = servers.collect();
        for churn in [Churn::tcp(servers.clone()), Churn::udp(servers.clone())] {
            let report = churn.conversations(2000).run(lab.client().ns()).unwrap();
            println!("{report}");
            assert_eq!(report.failed(), 0, "{report}");
            assert_eq!(report.retransmissions, 0, "{report}");
            assert_eq!(
                report.by_pod.into_values().collect::<Vec<_>>(),
                [1000, 1000]
            );
        }

        let nobody = servers.iter().map(|server| SocketAddr::new(server.ip(), 1));
        let churn = Churn::tcp(servers.iter().copied().chain(nobody));
        let running = churn.start(lab.client().ns());
        running.wait_for_more(100, Duration::from_secs(10)).unwrap();
        let report = running.stop().unwrap();
        assert!(report.succeeded() > 40, "{report}");
        assert_eq!(
            report.failures.keys().collect::<Vec<_>>(),
            [&Failure::Refused]
        );
    });
}

/// A server that answers late does not lower the rate, and nothing that was due is left out.
#[test]
fn a_rate_is_kept_whatever_the_server_does() {
    lab::test(|| {
        let lab = Lab::builder().nodes(1).pods_per_node(1).build().unwrap();
        let server = SocketAddr::new(lab.pod("pod-1-1").ip(Family::V4), Echo::LINES);
        // More are due than two at a time can make.
        let churn = Churn::tcp([server]).concurrency(2).per_second(20_000);
        let running = churn.start(lab.client().ns());
        let started = Instant::now();
        running.wait_for_more(100, Duration::from_secs(10)).unwrap();
        let seen = started.elapsed();
        let report = running.stop().unwrap();
        assert_eq!(Some(report.succeeded()), report.due, "{report}");
        assert!(report.succeeded() <= 1 + (report.elapsed.as_secs_f64() * 20_000.0) as u64);
        assert!(
            report.succeeded() as f64 >= seen.as_secs_f64() * 20_000.0,
            "{report}"
        );

        // And no more than are due.
        let churn = Churn::tcp([server]).concurrency(50).per_second(100);
        let report = churn.conversations(20).run(lab.client().ns()).unwrap();
        assert_eq!(report.succeeded(), 20);
        assert!(report.elapsed >= Duration::from_millis(190), "{report}");
    });
}

#[test]
fn nothing_is_lost_right_after_a_lab_was_built() {
    lab::test(|| {
        for _ in 0..10 {
            let lab = Lab::builder().nodes(2).pods_per_node(1).build().unwrap();
            let [near, far] = ["pod-1-1", "pod-2-1"].map(|name| lab.pod(name));
            for client in [lab.client().ns(), near.ns()] {
                for family in Family::BOTH {
                    let server = SocketAddr::new(far.ip(family), Echo::LINES);
                    ask::tcp(client, server).unwrap();
                }
                assert_eq!(retransmissions(client).unwrap(), 0);
            }
        }
    });
}

#[test]
fn an_open_loop_measures_from_when_a_request_was_due() {
    lab::test(|| {
        let lab = Lab::builder().nodes(1).pods_per_node(1).build().unwrap();
        let ip = lab.pod("pod-1-1").ip(Family::V6);
        let mut plan = OpenLoop {
            server: SocketAddr::new(ip, Echo::HTTP),
            host: "load.example".into(),
            path: "/".into(),
            rate: 1000.0,
            duration: Duration::from_millis(300),
            connections: 8,
        };
        let report = plan.run(lab.client().ns()).unwrap();
        println!("{report}");
        assert_eq!(
            report.statuses.into_iter().collect::<Vec<_>>(),
            [(200, 300)]
        );
        assert!(report.failures.is_empty());

        // Ten are due at once, the only connection serves them one after the other.
        plan.path = "/?delay=20".into();
        plan.rate = 100_000.0;
        plan.duration = Duration::from_micros(100);
        plan.connections = 1;
        let report = plan.run(lab.client().ns()).unwrap();
        assert_eq!(report.answered(), 10, "{report}");
        assert!(
            report.percentile(100.0) >= Duration::from_millis(200),
            "{report}"
        );

        plan.server.set_port(1);
        let report = plan.run(lab.client().ns()).unwrap();
        assert_eq!(
            report.failures.into_iter().collect::<Vec<_>>(),
            [(Failure::Refused, 10)]
        );
    });
}

#[test]
fn a_balancer_spreads_connections_over_healthy_nodes() {
    lab::test(|| {
        let lab = Lab::builder().nodes(2).build().unwrap();
        // Node processes stand for node ports.
        let serve = |node: &lab::Node| {
            let identity = crate::echo::Identity {
                pod: node.name().into(),
                node: node.name().into(),
            };
            let addresses = Family::BOTH.map(|family| node.ip(family));
            let echo = Echo::new(node.ns(), identity, &addresses);
            echo.serve_lines(30080).unwrap();
            echo.serve_http(10256).unwrap();
            echo
        };
        let [first, second] = ["node-1", "node-2"].map(|name| serve(lab.node(name)));
        let check = crate::balancer::HealthCheck {
            port: 10256,
            path: "/healthz".into(),
            interval: Duration::from_millis(20),
        };
        let balancer = Balancer::start_checked(&lab, 80, 30080, check).unwrap();
        let wait_for = |number: usize| {
            eventually("healthy nodes", || {
                let healthy = balancer.healthy();
                if healthy.len() == number {
                    Ok(())
                } else {
                    Err(healthy)
                }
            });
        };
        wait_for(4);
        let servers = Family::BOTH.map(|family| SocketAddr::new(lab.balancer().ip(family), 80));
        let churn = Churn::tcp(servers).conversations(100);
        let report = churn.clone().run(lab.client().ns()).unwrap();
        assert_eq!(
            report.by_pod.values().collect::<Vec<_>>(),
            [&50, &50],
            "{report}"
        );
        let reply = ask::tcp(lab.client().ns(), servers[1]).unwrap();
        assert_eq!(reply.peer.ip(), lab.balancer().ip(Family::V6));

        assert!(first.drain(Duration::from_secs(10)));
        wait_for(2);
        let report = churn.run(lab.client().ns()).unwrap();
        assert_eq!(
            report.by_pod.into_iter().collect::<Vec<_>>(),
            [("node-2".into(), 100)]
        );
        drop(second);
    });
}
