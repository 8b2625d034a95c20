//! What the kernel of this node knows about a question.

use std::net::IpAddr;

use fairway_explain::{KernelFacts, Question, Target, World};
use fairway_nft::{Error, LocalAddresses, Netlink};
use fairway_plan::Scene;

/// Adds what the kernel knows: which addresses are this node's, and the elements that decide.
pub(crate) fn look(world: &mut World, question: &Question) {
    let target = match &question.target {
        Target::Address(target) => Some(*target),
        Target::Url(url) => url.address(),
    };
    let Some(target) = target else {
        return;
    };
    let asked = [Some(target.0), question.from].into_iter().flatten();
    world.interfaces = asked.filter(|address| is_local(*address)).collect();
    let Some(options) = &world.service_proxy else {
        return;
    };
    let scene = Scene::new(options, &world.snapshot, target);
    let concerns_us = !scene.candidates().is_empty() || !scene.services_of_address().is_empty();
    let facts = held(&scene, question.from);
    // Addresses of nobody are not looked for in a table that is not there.
    world.kernel = Some(facts).filter(|facts| concerns_us || holds_something(facts));
}

fn holds_something(facts: &KernelFacts) -> bool {
    matches!(facts, KernelFacts::Elements(elements) if !elements.is_empty())
}

fn held(scene: &Scene, client: Option<IpAddr>) -> KernelFacts {
    let read =
        || -> Result<_, Error> { Netlink::open()?.held(scene.family(), &scene.keys(client)) };
    match read() {
        Ok(Some(elements)) => KernelFacts::Elements(elements),
        Ok(None) => KernelFacts::NoTable,
        Err(error) => KernelFacts::Unreadable(error.to_string()),
    }
}

/// Where that cannot be found out, the Node's addresses have to do.
fn is_local(address: IpAddr) -> bool {
    LocalAddresses::open()
        .and_then(|mut local| local.contains(address))
        .unwrap_or_default()
}
