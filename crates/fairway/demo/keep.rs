//! What a person can do with a cluster that stays up.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use fairway_testkit::Family;
use fairway_testkit::lab::Namespace;

use super::cluster::Cluster;
use super::curl::Curl;
use super::screen::Screen;
use super::style::Role;

/// Says how to poke at it.
pub(super) fn show(cluster: &Cluster, directory: &Path, screen: &mut Screen) -> anyhow::Result<()> {
    let lab = &cluster.lab;
    let pods = lab.pods();
    let nodes = lab.nodes().iter().map(|node| node.ns());
    let machines: Vec<&Namespace> = [lab.client().ns(), lab.balancer().ns()]
        .into_iter()
        .chain(nodes)
        .chain(pods.iter().map(|pod| pod.ns()))
        .collect();

    // Functions, because shells differ in how they split a variable into words.
    let mut script = String::new();
    for machine in &machines {
        let enter = machine.enter_command();
        writeln!(script, "{}() {{ {enter} \"$@\"; }}", shell_name(machine))?;
    }
    let file = directory.join("enter.sh");
    fs::write(&file, script)?;

    screen.step("The cluster stays up until Ctrl-C: poke at it, as the same user")?;
    screen.aside("Run a command on a machine, from another terminal:")?;
    screen.blank()?;
    let style = screen.style;
    for machine in &machines {
        let name = style.paint(Role::Strong, format!("{:<13}", machine.name()));
        let enter = style.paint(Role::Command, machine.enter_command());
        screen.line(format_args!("{name} {enter}"))?;
    }
    screen.blank()?;
    screen.aside("The same as shell functions, to try this with:")?;
    screen.blank()?;
    let shop = Curl::new(lab.client().ns(), cluster.front_door(Family::V4));
    let shop = shop.host("shop.example.com", "/");
    for command in [
        format!(". {}", file.display()),
        format!("client {shop}"),
        "node1 nft list table ip fairway            # if nft is installed".to_owned(),
        "node1 curl http://127.0.0.1:10256/healthz".to_owned(),
        "node1 curl http://127.0.0.1:10249/metrics".to_owned(),
    ] {
        screen.line(style.paint(Role::Command, command))?;
    }
    screen.blank()?;
    let manifests = directory.join("manifests");
    let manifests = style.paint(Role::Strong, manifests.display());
    screen.line(format_args!("Manifests  {manifests}"))?;
    screen.aside("           edit, add or remove a file: it takes effect within a second")?;
    let logs = style.paint(
        Role::Strong,
        directory.join("node-1.log").display().to_string(),
    );
    screen.line(format_args!("Logs       {logs} and node-2.log"))?;
    screen.aside("           one line per request in node-1.access.log and node-2.access.log")?;
    Ok(())
}

/// Not every shell takes hyphens in the name of a function.
fn shell_name(machine: &Namespace) -> String {
    machine.name().replace('-', "")
}
