//! Hosts with a certificate each: every Secret is asked for, and watched, by its name.

use std::time::Instant;

use fairway_testkit::certificates::Authority;
use fairway_testkit::objects::{self, ingress, tls_secret};
use fairway_testkit::usage::{self, Memory};

use crate::scale::population::Population;
use crate::scale::site::{Feed, Site};

pub(crate) const HEADER: &str = "\
| hosts with a Secret each | beside them, Secrets of others | start | CPU | in use | heap | peak | Secrets watched | connections |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

/// Starts an agent beside `count` Secrets that it needs and as many that it does not.
pub(crate) fn measure(count: usize) -> String {
    let site = Site::new(Feed::SecureApi, Population::new(1, 2));
    let authority = Authority::new("root").expect("a key");
    let class = objects::ingress_class("fairway", "fairway.dev/ingress");
    let apply = |object: serde_json::Value| site.server().apply(object).expect("a valid object");
    apply(class.build());
    apply(objects::service("web").headless().tcp("http", 80).build());
    for number in 0..count {
        let name = format!("host-{number:05}");
        let host = format!("{name}.example");
        let issued = authority.server(&[&host]).expect("a certificate");
        apply(tls_secret(&name, &issued).build());
        apply(tls_secret(&format!("other-{number:05}"), &issued).build());
        let ingress = ingress(&name).class("fairway").tls(&[&host], &name);
        apply(ingress.prefix(&host, "/", "web", 80).build());
    }
    let started = Instant::now();
    let agent = site.start_agent();
    let took = started.elapsed();
    let cpu = usage::cpu(agent.id());
    let memory = Memory::settled(agent.id());
    let mib = |kib: u64| kib as f64 / 1024.0;
    format!(
        "| {count} | {count} | {:.1} s | {:.1} s | {:.1} MiB | {:.1} MiB | {:.1} MiB | {} | {} |",
        took.as_secs_f64(),
        cpu.as_secs_f64(),
        mib(memory.resident),
        mib(memory.anonymous),
        mib(memory.peak),
        site.server().watchers("secrets"),
        site.server().connections(),
    )
}
