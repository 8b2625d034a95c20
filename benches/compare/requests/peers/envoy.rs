use std::process::Child;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Listen, Routes};
use crate::requests::install::Programs;
use crate::requests::stage::{ECHO, ORIGIN, ORIGIN_A, Stage, host};

const TYPE: &str = "type.googleapis.com/envoy";

pub(super) fn start(
    stage: &Stage,
    programs: &Programs,
    listen: Listen,
    routes: Routes,
) -> Result<Child> {
    let file = stage.write("envoy.json", config(stage, listen, routes).to_string())?;
    let file = file.display().to_string();
    let arguments = [
        "--concurrency",
        "1",
        "-l",
        "error",
        "--disable-hot-restart",
        "-c",
        &file,
    ];
    let program = programs.envoy.as_deref().context("it was found")?;
    stage.start(program, &arguments)
}

fn config(stage: &Stage, listen: Listen, routes: Routes) -> Value {
    let hosts: Vec<_> = (0..routes.hosts).map(virtual_host).collect();
    let manager = json!({
        "@type": format!("{TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "web",
        "use_remote_address": true,
        "upgrade_configs": [{ "upgrade_type": "websocket" }],
        "access_log": [{
            "name": "file",
            "typed_config": {
                "@type": format!("{TYPE}.extensions.access_loggers.file.v3.FileAccessLog"),
                "path": "/dev/null",
            },
        }],
        "http_filters": [{
            "name": "router",
            "typed_config": { "@type": format!("{TYPE}.extensions.filters.http.router.v3.Router") },
        }],
        "route_config": { "name": "all", "virtual_hosts": hosts },
    });
    let listener = |name: &str, address: std::net::SocketAddr, tls: Option<Value>| {
        let mut chain = json!({
            "filters": [{ "name": "http", "typed_config": manager }],
        });
        if let Some(tls) = tls {
            chain["transport_socket"] = tls;
        }
        json!({
            "name": name,
            "address": { "socket_address": {
                "address": address.ip().to_string(), "port_value": address.port(),
            }},
            "tcp_backlog_size": 4096,
            "filter_chains": [chain],
        })
    };
    let tls = json!({
        "name": "tls",
        "typed_config": {
            "@type": format!("{TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificates": [{
                    "certificate_chain": { "filename": stage.path("chain.pem") },
                    "private_key": { "filename": stage.path("key.pem") },
                }],
            },
        },
    });
    json!({
        "static_resources": {
            "listeners": [
                listener("http", listen.http, None),
                listener("https", listen.https, Some(tls)),
            ],
            "clusters": [cluster("a", ORIGIN_A), cluster("echo", ECHO)],
        },
    })
}

fn virtual_host(number: usize) -> Value {
    json!({
        "name": host(number),
        // With any port.
        "domains": [host(number), format!("{}:*", host(number))],
        "routes": [
            { "match": { "prefix": "/echo" }, "route": { "cluster": "echo", "timeout": "0s" } },
            { "match": { "prefix": "/" }, "route": { "cluster": "a" } },
        ],
    })
}

fn cluster(name: &str, port: u16) -> Value {
    let limits = json!({
        "max_connections": 65536, "max_pending_requests": 65536, "max_requests": 65536,
    });
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": { "thresholds": [limits] },
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{
            "endpoint": { "address": { "socket_address": {
                "address": ORIGIN, "port_value": port,
            }}},
        }]}]},
    })
}
