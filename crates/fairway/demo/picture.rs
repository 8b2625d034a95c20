//! The cluster as a picture, and the addresses that the steps use.

use std::io;

use fairway_model::{Action, PathMatch};
use fairway_testkit::Family;
use fairway_testkit::lab::{Host, Node};

use super::cluster::{APPS, App, Cluster, WAY_IN};
use super::screen::Screen;
use super::style::{Role, milliseconds};

/// Between the borders of a node's box: the longest line is a pod with both of its addresses.
const INSIDE: usize = 44;
const GAP: usize = 3;

pub(super) fn show(cluster: &Cluster, screen: &mut Screen) -> anyhow::Result<()> {
    screen.blank()?;
    way_in(cluster, screen)?;
    nodes(cluster, screen)?;
    screen.blank()?;
    services(cluster, screen)?;
    screen.blank()?;
    let (built, ready) = (cluster.built_in, cluster.ready_in);
    screen.aside(format_args!(
        "Built in {}. fairway read the manifests, programmed both kernels and served after {}.",
        milliseconds(built),
        milliseconds(ready)
    ))?;
    Ok(())
}

fn way_in(cluster: &Cluster, screen: &mut Screen) -> anyhow::Result<()> {
    let port = cluster.node_port(WAY_IN)?;
    // The middle of each box, and of both.
    let (left, right) = (INSIDE / 2 + 1, INSIDE + 2 + GAP + INSIDE / 2 + 1);
    let middle = usize::midpoint(left, right);
    let host = |host: &Host| {
        let [v4, v6] = Family::BOTH.map(|family| host.ip(family));
        format!("{v4}  {v6}")
    };
    let client = format!("client  {}", host(cluster.lab.client()));
    let balancer = format!("load balancer  {}", host(cluster.lab.balancer()));
    screen.line(centred(&client, middle))?;
    screen.line(centred("│", middle))?;
    screen.line(centred(&balancer, middle))?;
    let half = middle - left;
    let fork = format!("┌{0}┴{0}┐", "─".repeat(half - 1));
    screen.line(format_args!("{}{fork}", " ".repeat(left)))?;
    let ends = format!("▼ :{port}");
    screen.line(format_args!(
        "{}{ends:<width$}{ends}",
        " ".repeat(left),
        width = 2 * half
    ))?;
    Ok(())
}

fn nodes(cluster: &Cluster, screen: &mut Screen) -> io::Result<()> {
    let boxes: Vec<_> = cluster
        .lab
        .nodes()
        .iter()
        .map(|node| lines_of(cluster, node))
        .collect();
    let height = boxes.iter().map(Vec::len).max().unwrap_or(0);
    let gap = " ".repeat(GAP);
    let across = |ends: [char; 2]| {
        let [left, right] = ends;
        let border = format!("{left}{}{right}", "─".repeat(INSIDE));
        vec![border; boxes.len()].join(&gap)
    };
    screen.line(across(['┌', '┐']))?;
    for row in 0..height {
        let cells = boxes.iter().map(|lines| {
            let text = lines.get(row).map_or("", String::as_str);
            let padded = format!("{text:<INSIDE$}");
            let role = if row == 0 { Role::Strong } else { Role::Good };
            match row {
                1 => format!("│{padded}│"),
                _ => format!("│{}│", screen.style.paint(role, padded)),
            }
        });
        let cells: Vec<_> = cells.collect();
        screen.line(cells.join(&gap))?;
    }
    screen.line(across(['└', '┘']))
}

fn lines_of(cluster: &Cluster, node: &Node) -> Vec<String> {
    let line = |name: &str, addresses: [std::net::IpAddr; 2]| {
        let [v4, v6] = addresses;
        format!(" {name:<13} {:<11} {v6}", v4.to_string())
    };
    let mut lines = vec![
        line(node.name(), Family::BOTH.map(|family| node.ip(family))),
        " fairway: Services in nf_tables, and router".to_owned(),
    ];
    let pods = cluster.lab.pods();
    let here = pods.iter().filter(|pod| pod.node() == node.name());
    lines.extend(here.map(|pod| line(pod.name(), Family::BOTH.map(|family| pod.ip(family)))));
    lines
}

fn services(cluster: &Cluster, screen: &mut Screen) -> anyhow::Result<()> {
    let row = |cells: [&str; 5]| {
        let [name, v4, v6, port, endpoints] = cells;
        format!("{name:<30}  {v4:<10} {v6:<16}  {port:<9} {endpoints}")
    };
    screen.aside(row(["Service", "ClusterIP", "", "node port", "endpoints"]))?;
    for app in APPS.into_iter().chain([WAY_IN]) {
        let addresses = cluster.service(app)?.cluster_ips.clone();
        let [v4, v6] = Family::BOTH.map(|family| {
            let mut of_family = addresses.iter().filter(|ip| Family::of(**ip) == family);
            of_family
                .next()
                .map(ToString::to_string)
                .unwrap_or_default()
        });
        let port = cluster.node_port(app).map(|port| port.to_string());
        let name = app.object().to_string();
        screen.line(row([
            &name,
            &v4,
            &v6,
            &port.unwrap_or_default(),
            &endpoints(cluster, app),
        ]))?;
    }
    screen.blank()?;
    screen.aside("Ingress")?;
    let node = cluster.lab.node("node-1");
    for (host, routes) in &cluster.snapshot(node)?.routes.hosts {
        for rule in &routes.rules {
            let (PathMatch::Exact(path) | PathMatch::Prefix(path) | PathMatch::Regex(path)) =
                &rule.matches.path;
            let backends = match &rule.action {
                Action::Forward(backends) => backends.as_slice(),
                _ => &[],
            };
            let names: Vec<_> = backends.iter().map(|it| it.service.to_string()).collect();
            let from = format!("{host}{path}");
            screen.line(format_args!("{from:<30}  {}", names.join(", ")))?;
        }
    }
    Ok(())
}

fn endpoints(cluster: &Cluster, app: App) -> String {
    if app == WAY_IN {
        return "both nodes".to_owned();
    }
    let pods = cluster.pods(app);
    let names: Vec<_> = pods.iter().map(|pod| pod.name()).collect();
    names.join(" ")
}

/// The text with its middle at a column.
fn centred(text: &str, column: usize) -> String {
    let before = column.saturating_sub(text.chars().count() / 2);
    format!("{}{text}", " ".repeat(before))
}
