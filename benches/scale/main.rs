//! The whole agent, from the API server to the kernel, in clusters of several sizes.

mod population;
mod process;
mod site;

use population::Population;
use process::Memory;
use site::{Feed, Site};

fn main() {
    if let Err(error) = fairway_testkit::lab::enter() {
        eprintln!("{error}");
        std::process::exit(1);
    }
    let sizes: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    for size in sizes {
        for feed in [Feed::Api, Feed::Manifests] {
            for ingresses in [0, 1000] {
                let population = Population { ingresses, ..Population::new(size, 2) };
                let site = Site::new(feed, population);
                let agent = site.start_agent();
                println!("{size} {feed:?} {ingresses}: {}", Memory::settled(agent.id()));
            }
        }
    }
}
