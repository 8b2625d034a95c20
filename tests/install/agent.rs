//! The agent as the DaemonSet starts it.

use std::path::Path;

use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::ingress;
use fairway_testkit::{Agent, Family, Lab, Manifests, ask, lab, objects};
use serde_json::{Value, json};

use super::rendering::Rendering;
use super::{overlays, renderings};
use crate::ingress::site::Site;
use crate::support::{Cluster, Feed, becomes, fairway};

/// A node's agent with what its container is given: arguments, environment, configuration, capabilities.
pub(super) fn spawn(
    rendering: &Rendering,
    node: &Namespace,
    directory: &Path,
    further: &[&str],
) -> Agent {
    let container = rendering.container();
    let arguments = arguments(&container, rendering, directory);
    let add = &container["securityContext"]["capabilities"]["add"];
    let capabilities = add.as_array().into_iter().flatten();
    let capabilities = capabilities.map(|name| format!(",+{}", name.as_str().unwrap()));
    let capabilities = capabilities.collect::<String>().to_lowercase();
    let mut line = vec![
        "NODE_NAME=node-1".to_owned(),
        "setpriv".to_owned(),
        "--no-new-privs".to_owned(),
        "--inh-caps=-all".to_owned(),
        format!("--bounding-set=-all{capabilities}"),
        fairway().to_str().unwrap().to_owned(),
    ];
    line.extend(arguments);
    line.extend(further.iter().map(ToString::to_string));
    Agent::spawn(node, Path::new("env"), line).unwrap()
}

/// The arguments of a container, with the files of the ConfigMap in a directory.
fn arguments(container: &Value, rendering: &Rendering, directory: &Path) -> Vec<String> {
    std::fs::write(directory.join("fairway.yaml"), rendering.configuration()).unwrap();
    let mounted = format!("{}/", directory.display());
    let arguments = container["args"].as_array().unwrap().iter();
    let arguments = arguments.map(|it| it.as_str().unwrap().replace("/etc/fairway/", &mounted));
    arguments
        .map(|argument| {
            let variables = container["env"].as_array().into_iter().flatten();
            variables.fold(argument, |argument, variable| {
                let name = format!("$({})", variable["name"].as_str().unwrap());
                // What only the node knows.
                let value = variable["value"].as_str().unwrap_or("127.0.0.1");
                argument.replace(&name, value)
            })
        })
        .collect()
}

#[test]
fn every_container_is_given_arguments_that_are_understood() {
    let directory = tempfile::tempdir().unwrap();
    let of_agents = renderings().into_iter();
    let of_agents = of_agents.filter(|it| it.find("DaemonSet", "fairway").is_some());
    for rendering in of_agents {
        let pod = &rendering.object("DaemonSet", "fairway")["spec"]["template"]["spec"];
        for list in ["containers", "initContainers"] {
            for container in pod[list].as_array().into_iter().flatten() {
                let arguments = arguments(container, &rendering, directory.path());
                let unknown = arguments.iter().find(|argument| argument.contains("$("));
                assert_eq!(unknown, None, "{}", rendering.name);
                // It is read and judged like that of an agent, and ends.
                let output = std::process::Command::new(fairway())
                    .args(&arguments)
                    .arg("--write-config-to=/dev/stdout")
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{}: {said}", rendering.name);
                assert!(!said.contains("WARN"), "{}: {said}", rendering.name);
            }
        }
    }
}

/// The Service and the IngressClass of an overlay, the capabilities and arguments of its DaemonSet: the whole way of a
/// request from a client to a pod.
#[test]
fn the_agents_of_the_overlays_serve_what_the_overlays_declare() {
    lab::test(|| {
        for (overlay, _) in overlays() {
            let rendering = Rendering::kustomize(&format!("overlays/{overlay}"));
            serves(overlay, &rendering);
        }
    });
}

fn serves(overlay: &str, rendering: &Rendering) {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let site = Site::new(Cluster::new(Feed::Manifests, lab));
    let node = site.lab().node("node-1");
    site.apply_apps(&["web"]);
    let web = ingress("web")
        .class("fairway")
        .prefix("web", "/", "web", 80);
    site.apply("web", [web]);
    // What the API server and the controllers add to the overlay's objects.
    let balancer = site.lab().balancer().ip(Family::V4);
    if let Some(mut service) = rendering.find("Service", "fairway-ingress") {
        service["spec"]["clusterIP"] = json!(site.lab().cluster_ip(Family::V4, 80).to_string());
        service["status"] = json!({"loadBalancer": {"ingress": [{"ip": balancer.to_string()}]}});
        let ports = service["spec"]["ports"].as_array_mut().unwrap();
        for (port, node_port) in ports.iter_mut().zip([30080, 30443]) {
            assert!(port["nodePort"].is_null() || port["nodePort"] == node_port);
            port["nodePort"] = json!(node_port);
        }
        let slice = objects::endpoint_slice("fairway-ingress", Family::V4)
            .namespace("fairway-system")
            .tcp("http", 8080)
            .tcp("https", 8443)
            .endpoint(node.ip(Family::V4), Some("node-1"));
        let class = rendering.object("IngressClass", "fairway");
        site.delete("class");
        site.apply("overlay", [service, slice.build(), class]);
    }
    let configuration = Manifests::in_tempdir().unwrap();
    let manifests = site.directory().path().to_str().unwrap();
    let agent = spawn(
        rendering,
        node.ns(),
        configuration.path(),
        &["--manifests", manifests, "--drain-delay-seconds=0"],
    );
    let port = probe_port(rendering);
    becomes(Some(200), &format!("health of {overlay}"), || {
        let health = ask::http_get(node.ns(), ([127, 0, 0, 1], port).into(), "node", "/healthz");
        health.ok().map(|response| response.status.as_u16())
    });
    let client = site.lab().client().ns();
    let by = |address: std::net::SocketAddr| {
        let response = ask::http_get(client, address, "web", "/");
        response
            .map(|response| crate::ingress::site::outcome(&response))
            .ok()
    };
    let (halves, node_port) = (overlay, (node.ip(Family::V4), 30080).into());
    let routed = (halves != "service-proxy-only").then(|| "web".to_owned());
    assert_eq!(by((node.ip(Family::V4), 8080).into()), routed, "{overlay}");
    let proxied = routed.filter(|_| halves != "ingress-only");
    assert_eq!(by(node_port), proxied, "{overlay}");
    let said = agent.stderr();
    let complaints: Vec<_> = said
        .lines()
        .filter(|line| line.contains(" WARN "))
        .collect();
    // The namespaces of a test have kernel settings of their own; everything else would be the overlay's fault.
    let complaints: Vec<_> = complaints
        .into_iter()
        .filter(|line| !line.contains("/proc/") && !line.contains("/sys/"))
        .collect();
    assert_eq!(complaints, [""; 0], "{overlay}");
}

/// Where the kubelet asks.
fn probe_port(rendering: &Rendering) -> u16 {
    let port = &rendering.container()["readinessProbe"]["httpGet"]["port"];
    u16::try_from(port.as_u64().unwrap()).unwrap()
}
