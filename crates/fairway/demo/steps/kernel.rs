//! What all this is in the kernel.

use anyhow::Context;
use fairway_model::Service;
use fairway_nft::{Dataplane, Netlink, text};
use fairway_plan::{Family, Options, Planner, TABLE};
use fairway_testkit::lab::Node;

use crate::demo::cluster::{API, Cluster};
use crate::demo::screen::Screen;
use crate::demo::style::Role;

pub(super) fn show(cluster: &Cluster, screen: &mut Screen) -> anyhow::Result<()> {
    screen.step("What the kernel holds of that Service")?;
    let service = cluster.service(API)?;
    for node in cluster.lab.nodes() {
        let (tables, differences) = read(cluster, node)?;
        if node.name() == "node-1" {
            let table = tables.first().context("there is a table for IPv4")?;
            excerpt(screen, node, service, table)?;
        }
        let seen = format!(
            "{}: both tables read back, {differences} differences",
            node.name()
        );
        let wrong = format!("the tables of {} should be as planned", node.name());
        screen.check(&seen, (differences > 0).then_some(wrong))?;
    }
    screen.blank()?;
    screen.aside("A Service is elements of maps; no chain and no rule is its own.")?;
    Ok(())
}

/// The tables of a node as text, and how many changes would make them what is planned.
fn read(cluster: &Cluster, node: &Node) -> anyhow::Result<(Vec<String>, usize)> {
    let observed = node.ns().run(|| {
        let mut netlink = Netlink::open()?;
        let [ip4, ip6] = Family::ALL.map(|family| netlink.read(family));
        anyhow::Ok([ip4?, ip6?])
    })?;
    let options = Options {
        local_pods: fairway_plan::LocalPods::ClusterCidr(
            fairway_testkit::Family::BOTH
                .map(|family| cluster.lab.cluster_cidr(family))
                .into(),
        ),
        ..Options::default()
    };
    let snapshot = cluster.snapshot(node)?;
    let (planner, changes) = Planner::start(options, &snapshot, observed.each_ref());
    // What is planned and no different from the kernel's is what the kernel holds.
    let tables = Family::ALL.map(|family| text::render(&planner.ruleset(family)));
    let differences = changes
        .iter()
        .map(|change| change.make.len() + change.release.len());
    Ok((tables.into(), differences.sum()))
}

/// What is the Service's in a table, and the rules that pick an endpoint from it.
fn excerpt(screen: &mut Screen, node: &Node, service: &Service, table: &str) -> anyhow::Result<()> {
    screen.command(node.name(), format_args!("nft list table ip {TABLE}"))?;
    let address = service.cluster_ips.first().map(ToString::to_string);
    let address = address.context("the Service has a ClusterIP")?;
    let port = service.ports.first().and_then(|port| port.node_port);
    let port = format!("tcp . {}", port.context("the Service has a node port")?);
    let is_ours = |element: &&str| {
        let key = element.split(" : ").next().unwrap_or_default();
        let mut frontends = [&address, &port].into_iter();
        frontends.any(|own| key == own || key.starts_with(&format!("{own} . ")))
    };

    let blocks: Vec<_> = table.split("\n\n").map(Block::of).collect();
    let mut sets = Vec::new();
    let mut shown = 0;
    for block in &blocks {
        let ours: Vec<_> = block.elements().into_iter().filter(is_ours).collect();
        if !ours.is_empty() {
            let indent = " ".repeat(block.head.len() + 3);
            let elements = ours.join(&format!(",\n     {indent}"));
            let elements = screen.style.paint(Role::Good, elements);
            screen.line(format_args!("  {} {{ {elements} }}", block.head))?;
            shown += ours.len();
            sets.extend(block.head.split(' ').nth(1));
        }
    }
    for block in blocks
        .iter()
        .filter(|block| block.head.starts_with("chain"))
    {
        let looks = |rule: &&&str| {
            let map = rule.split_once(" map @").map(|(_, map)| map);
            map.is_some_and(|map| sets.contains(&map))
        };
        let rules: Vec<_> = block.lines.iter().filter(looks).collect();
        if !rules.is_empty() {
            screen.line(format_args!("  {}", block.head))?;
            shown += 1 + rules.len();
        }
        for rule in rules {
            screen.line(format_args!("    {rule}"))?;
        }
    }
    let others = table.lines().count().saturating_sub(shown);
    screen.aside(format_args!(
        "  and {others} lines more, for other Services and for none"
    ))?;
    screen.blank()?;
    Ok(())
}

/// A set, a map or a chain as text.
struct Block<'a> {
    /// For example `map endpoints-2`.
    head: &'a str,
    text: &'a str,
    lines: Vec<&'a str>,
}

impl<'a> Block<'a> {
    fn of(text: &'a str) -> Self {
        let mut lines = text.lines().map(str::trim);
        let is_head = |line: &&str| {
            let kind = line.split(' ').next();
            kind.is_some_and(|kind| ["set", "map", "chain"].contains(&kind))
        };
        let head = lines.find(is_head).unwrap_or_default();
        Self {
            head: head.trim_end_matches(" {"),
            text,
            lines: lines.collect(),
        }
    }

    fn elements(&self) -> Vec<&'a str> {
        let Some((_, elements)) = self.text.split_once("elements = {") else {
            return Vec::new();
        };
        let elements = elements.split('}').next().unwrap_or_default();
        elements.split(',').map(str::trim).collect()
    }
}
