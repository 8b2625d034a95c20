//! Runs a target over many inputs, without a nightly compiler.
//!
//! `cargo run --release -p fairway-fuzz -- TARGET [INPUTS [SEED [THREADS]]]`

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use fairway_fuzz::{Generator, TARGETS, gate, response};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        let names = TARGETS.map(|target| target.name).join(", ");
        eprintln!("usage: run TARGET [INPUTS [SEED [THREADS]]]; targets: {names}");
        std::process::exit(2);
    };
    let mut number = |default| {
        let given = arguments.next();
        given.map_or(default, |it| it.parse().expect("a number"))
    };
    let (inputs, seed, threads) = (number(10_000_000), number(1), number(1));
    let corpus = fairway_fuzz::corpus(target.name);
    let (started, done) = (Instant::now(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (corpus, done) = (&corpus, &done);
            scope.spawn(move || {
                for input in Generator::new(seed + thread, corpus, target.pieces) {
                    if done.fetch_add(1, Ordering::Relaxed) >= inputs {
                        break;
                    }
                    (target.check)(&input);
                }
            });
        }
    });
    let lasted = started.elapsed();
    print!(
        "{name}: {inputs} inputs from seed {seed} on {threads} threads in {:.0} s",
        lasted.as_secs_f64()
    );
    match target.name {
        "gate" => {
            gate::settle();
            print!("; {} requests arrived", gate::arrived());
        }
        "response" => print!("; {} were compared", response::taken()),
        _ => {}
    }
    println!();
}
