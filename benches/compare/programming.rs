//! How long the kernel takes to learn of Services: fairway's planner and netlink beside `nft -f -` with
//! a chain per Service, which is kube-proxy's layout and way.
//!
//! Each side has a network namespace of its own; the two take turns, so that the ratio holds when the machine's
//! speed drifts. The peer's cold start is quadratic: 100,000 Services take it half an hour.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairway_model::{
    Changes, Endpoint, ObjectName, Port, Protocol, Service, ServicePort, Snapshot,
};
use fairway_nft::{Dataplane, Netlink};
use fairway_plan::{Family, Observed, Options, Planner};
use fairway_testkit::lab::Namespace;

use crate::chain_per_service::{ChainPerService, cluster_ip, endpoint};
use crate::chart::curves::{self, Curve};
use crate::plan::{Effort, Plan};
use crate::report::{Bar, Chart, Figure, Limit, Section, median, short};
use crate::spread::{Spread, number};

const OURS: &str = "fairway";
const PEER: &str = "chain per Service, nft -f -";

/// Where the project's bars stand.
const COLD_AT: usize = 10_000;
const CHANGE_AT: usize = 30_000;

/// Endpoints that change at once, where there are as many Services.
const BURST: usize = 1_000;

/// One number of Services, in all rounds.
struct Size {
    services: usize,
    ours: Vec<Took>,
    /// Empty where it takes too long.
    peer: Vec<Took>,
}

/// What one round took.
#[derive(Clone, Copy)]
struct Took {
    /// In the order of [`Task::ALL`]; None for what was left out.
    times: [Option<Duration>; Task::ALL.len()],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    ColdStart,
    WarmRestart,
    Burst,
    /// The median of some.
    OneChange,
}

impl Task {
    const ALL: [Self; 4] = [
        Self::ColdStart,
        Self::WarmRestart,
        Self::Burst,
        Self::OneChange,
    ];

    fn name(self, services: usize) -> String {
        match self {
            Self::ColdStart => "cold start".to_owned(),
            Self::WarmRestart => "warm restart".to_owned(),
            Self::Burst => format!("{} endpoints changed at once", BURST.min(services)),
            Self::OneChange => "one endpoint changed".to_owned(),
        }
    }
}

impl Took {
    fn micros(&self, task: Task) -> Option<f64> {
        Some(self.times[task as usize]?.as_secs_f64() * 1e6)
    }
}

impl Size {
    /// Microseconds.
    fn ours(&self, task: Task) -> Option<Spread> {
        Spread::of(self.ours.iter().filter_map(|it| it.micros(task)))
    }

    /// How many times as long the peer takes.
    fn ratio(&self, task: Task) -> Option<Spread> {
        let rounds = self.ours.iter().zip(&self.peer);
        Spread::of(rounds.filter_map(|(ours, peer)| Some(peer.micros(task)? / ours.micros(task)?)))
    }
}

pub(crate) fn measure(plan: &Plan) -> Section {
    // Single changes of ours are so short that many are needed, the peer's so long that few must do.
    let (rounds, our_changes, peer_changes) = match plan.effort() {
        Effort::Smoke => (1, 3, 1),
        Effort::Quick => (2, 500, 5),
        Effort::Full => (3, 1_000, 9),
    };
    let sizes = plan.sizes(
        &[100],
        &[1_000, 10_000, 30_000, 100_000],
        &[1_000, 10_000, 30_000, 100_000],
    );
    let mut sizes: Vec<_> = sizes
        .into_iter()
        .map(|services| Size {
            services,
            ours: Vec::new(),
            peer: Vec::new(),
        })
        .collect();
    for size in &mut sizes {
        for round in 1..=rounds {
            eprintln!("programming {} Services, round {round}", size.services);
            size.ours.push(measure_ours(size.services, our_changes));
            if size.services <= plan.peer {
                // It takes the peer half a minute at 10,000.
                let restarts = round == 1 || plan.effort() == Effort::Full;
                let took = measure_peer(size.services, peer_changes, restarts);
                size.peer.push(took);
            }
        }
    }
    Section {
        title: "Programming",
        text: text(&sizes),
        bars: bars(&sizes),
        figures: sizes.iter().flat_map(figures).collect(),
        charts: vec![chart(&sizes)],
    }
}

fn text(sizes: &[Size]) -> String {
    let mut out = "From a snapshot of Services with 2 endpoints each to the kernel: fairway's planner and netlink, without an API \
         server, beside `nft -f -` with a chain per Service, whose text was made before. At a warm restart all of it is in the \
         kernel already: fairway reads it back and finds nothing to do, the peer writes it again.\n\n\
         | Services | | fairway | `nft -f -` | ratio |\n\
         | ---: | --- | ---: | ---: | ---: |\n"
        .to_owned();
    let middle = |rounds: &[Took], task: Task| {
        let times = rounds.iter().filter_map(|it| it.times[task as usize]);
        let mut times: Vec<_> = times.collect();
        match times.is_empty() {
            true => "-".to_owned(),
            false => short(median(&mut times)),
        }
    };
    for size in sizes {
        for task in Task::ALL {
            let ratio = size.ratio(task);
            // Writing to a String does not fail.
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                size.services,
                task.name(size.services),
                middle(&size.ours, task),
                middle(&size.peer, task),
                ratio.map_or("-".to_owned(), |it| it.to_string()),
            );
        }
    }
    if let Some(growth) = growth(sizes) {
        let _ = write!(
            out,
            "\nA change at the largest size takes {} times what it takes at the smallest.",
            number(growth)
        );
    }
    out
}

fn growth(sizes: &[Size]) -> Option<f64> {
    let change = |size: &Size| size.ours(Task::OneChange);
    Some(change(sizes.last()?)?.median / change(sizes.first()?)?.median)
}

fn bars(sizes: &[Size]) -> Vec<Bar> {
    let at = |services| sizes.iter().find(|size| size.services == services);
    let change = |size: &Size| size.ours(Task::OneChange);
    let largest = sizes.last();
    vec![
        Bar::new(
            "cold programming of 10,000 Services: how many times as long `nft -f -` takes",
            Limit::AtLeast(150.0),
            "x",
            at(COLD_AT).and_then(|size| size.ratio(Task::ColdStart)),
        ),
        Bar::new(
            "one endpoint changed at 30,000 Services",
            Limit::AtMost(50.0),
            " us",
            at(CHANGE_AT).and_then(change),
        ),
        Bar::new(
            format!("the same at {}", largest.map_or(0, |size| size.services)),
            Limit::AtMost(50.0),
            " us",
            largest.and_then(change),
        ),
    ]
}

fn figures(size: &Size) -> Vec<Figure> {
    let mut figures = Vec::new();
    for task in Task::ALL {
        let what = format!("{}, {} Services", task.name(size.services), size.services);
        for (who, rounds) in [(OURS, &size.ours), (PEER, &size.peer)] {
            let times = rounds.iter().filter_map(|it| it.micros(task));
            figures.extend(Figure::new(&what, "us", who, times));
        }
        let ratio = size.ratio(task);
        figures.extend(ratio.map(|ratio| Figure::ratio(&what, PEER, OURS, ratio)));
    }
    figures
}

fn chart(sizes: &[Size]) -> Chart {
    let curve = |name, rounds: fn(&Size) -> &[Took], task: Task| Curve {
        name,
        points: sizes
            .iter()
            .filter_map(|size| {
                let times = rounds(size).iter();
                let times = times.filter_map(|it| Some(it.micros(task)? / 1e6));
                Some((size.services as f64, Spread::of(times)?.median))
            })
            .collect(),
    };
    let curves = [
        curve("fairway, cold start", |size| &size.ours, Task::ColdStart),
        curve("nft -f -, cold start", |size| &size.peer, Task::ColdStart),
        curve("fairway, one change", |size| &size.ours, Task::OneChange),
        curve("nft -f -, one change", |size| &size.peer, Task::OneChange),
    ];
    let title = "Time until the kernel has it, by number of Services";
    Chart {
        name: "programming",
        title,
        svg: curves::draw(title, &curves),
    }
}

/// From a snapshot to the kernel: planning, encoding and committing.
fn measure_ours(size: usize, changes: usize) -> Took {
    let namespace = Namespace::new("ours").expect("a network namespace");
    namespace.run(|| {
        let mut snapshot = Snapshot::default();
        for index in 0..size {
            change(&mut snapshot, index, 0);
        }
        let mut netlink = Netlink::open().expect("nf_tables");
        let started = Instant::now();
        let nothing = Observed::default();
        let (planner, transactions) =
            Planner::start(Options::default(), &snapshot, [&nothing, &nothing]);
        for transaction in &transactions {
            commit(&mut netlink, transaction);
        }
        let cold = started.elapsed();
        drop((planner, transactions));

        let mut netlink = Netlink::open().expect("nf_tables");
        let started = Instant::now();
        let observed = Family::ALL.map(|family| netlink.read(family).expect("read back"));
        let (mut planner, transactions) =
            Planner::start(Options::default(), &snapshot, observed.each_ref());
        let warm = started.elapsed();
        assert!(
            transactions.iter().all(|it| it.is_empty()),
            "there is nothing to do"
        );

        let mut update = |snapshot: &Snapshot, names: Changes| {
            let started = Instant::now();
            let [ip4, _] = planner.update(snapshot, &names);
            commit(&mut netlink, &ip4);
            started.elapsed()
        };
        let mut all = Changes::default();
        all.services
            .extend((0..BURST.min(size)).map(|index| change(&mut snapshot, index, changes + 1)));
        let burst = update(&snapshot, all);
        let mut times: Vec<_> = (0..changes)
            .map(|round| {
                let mut one = Changes::default();
                let name = change(&mut snapshot, round * 7 % size, round + 1);
                one.services.insert(name);
                update(&snapshot, one)
            })
            .collect();
        let observed = netlink.read(Family::Ip4).expect("read back");
        assert!(
            planner.repair(Family::Ip4, &observed).is_empty(),
            "the kernel holds the plan"
        );
        Took {
            times: [cold, warm, burst, median(&mut times)].map(Some),
        }
    })
}

/// Puts another version of a Service into the snapshot.
fn change(snapshot: &mut Snapshot, index: usize, version: usize) -> ObjectName {
    let service = service(index, version);
    let name = service.name.clone();
    snapshot
        .services
        .insert_mut(name.clone(), Arc::new(service));
    name
}

fn commit(netlink: &mut Netlink, transaction: &fairway_plan::Transaction) {
    let report = netlink.commit(transaction).expect("the kernel takes it");
    assert_eq!(report.refused, []);
}

fn measure_peer(size: usize, changes: usize, restarts: bool) -> Took {
    let namespace = Namespace::new("peer").expect("a network namespace");
    namespace.run(|| {
        let (table, cold) = ChainPerService::cold(size, 2);
        let warm = restarts.then(|| table.restart(size));
        let burst = table.change_endpoints(0..BURST.min(size), changes + 1);
        let mut times: Vec<_> = (0..changes)
            .map(|round| table.change_endpoint(round * 7 % size, round + 1))
            .collect();
        Took {
            times: [Some(cold), warm, Some(burst), Some(median(&mut times))],
        }
    })
}

/// The first endpoint of a Service stays, the second is another in each version.
fn service(index: usize, version: usize) -> Service {
    let addresses = [endpoint(2 * index, 0), endpoint(2 * index + 1, version)];
    let endpoint = |address| Endpoint {
        node: Some("another-node".into()),
        ..Endpoint::ready(address, port(8080))
    };
    Service {
        cluster_ips: vec![cluster_ip(index)],
        ports: vec![ServicePort {
            endpoints: addresses.map(endpoint).into(),
            ..ServicePort::new(Protocol::Tcp, port(80))
        }],
        ..Service::new(ObjectName::new("default", format!("service-{index}")))
    }
}

fn port(number: u16) -> Port {
    Port::new(number).expect("not zero")
}
