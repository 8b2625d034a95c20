//! What packets pay for Services: new TCP connections, UDP questions and answers, and TCP streams from pod to
//! pod, past all Services, through fairway's tables, and through tables laid out as kube-proxy lays out its own.
//!
//! All ways take turns in each round, and ratios are of the same round, so that they hold when the machine's speed
//! drifts. Tables are written directly; no agent takes part. The peer's table takes minutes to load from 20,000
//! Services on.
//!
//! One thread on one core is client, wire, node and server: it owns the sockets of both pods, and a veth pair hands
//! packets on in the softirq of the core that sends. So a connection is made, a datagram answered, without anybody
//! being woken: in a virtual machine waking another core costs more than all the rest, and varies more. And the CPU
//! time of the thread is that of the whole connection, at both ends and at the node between, because Linux charges a
//! softirq to the thread that it interrupts. What else runs on the machine is not in it, as it would be in
//! `/proc/stat`. Kernels that account interrupts apart (`CONFIG_IRQ_TIME_ACCOUNTING`) are told by the CPU time being
//! far less than the time that passed; then the bench says so, and the rates are what counts.

mod kube_proxy;
mod measure;
mod population;
mod report;
mod site;
mod traffic;

use crate::plan::{Effort, Plan};
use crate::report::Section;
use measure::{Amount, Figures};
use population::Population;
use site::{Site, Table};

pub(crate) fn measure(plan: &Plan) -> Section {
    let amount = match plan.effort() {
        Effort::Smoke => Amount::SMOKE,
        Effort::Quick => Amount::QUICK,
        Effort::Full => Amount::FULL,
    };
    let core = measure::pin();
    let bare = [Table::None, Table::Tracking].map(|table| Site::new(table, &Population::new(0)));
    let mut all = Vec::new();
    for services in plan.sizes(&[10, 1_000], &[10, 10_000], &[10, 30_000]) {
        eprintln!("packets beside {services} Services");
        let population = Population::new(services);
        let ours = Site::new(Table::Fairway, &population);
        let peer = Site::new(Table::KubeProxy, &population);
        let sites = bare.iter().chain([&ours, &peer]).collect::<Vec<_>>();
        all.push(Figures::take(services, &sites, amount));
    }
    let mut section = report::section(&all);
    if all.iter().any(|figures| !figures.cpu_is_whole()) {
        section.text.push_str(
            "\nThis kernel accounts softirqs apart from threads, or the core had other work all the time: CPU times are \
             too small; go by the rates.",
        );
    }
    if core.is_none() {
        section
            .text
            .push_str("\nThe thread could not be pinned to one core: figures are of several.");
    }
    section
}
