use std::process::Child;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{KEPT, Listen, Routes};
use crate::requests::install::Programs;
use crate::requests::stage::{ECHO, ORIGIN, ORIGIN_A, Stage, host};

pub(super) fn start(
    stage: &Stage,
    programs: &Programs,
    listen: Listen,
    routes: Routes,
) -> Result<Child> {
    let file = stage.write("caddy.json", config(stage, listen, routes).to_string())?;
    let arguments = ["run", "--config", &file.display().to_string()];
    let program = programs.caddy.as_deref().context("it was found")?;
    stage.start(program, &arguments)
}

fn config(stage: &Stage, listen: Listen, routes: Routes) -> Value {
    let hosts: Vec<_> = (0..routes.hosts).map(host).collect();
    let proxy = |port: u16| {
        json!([{
            "handler": "reverse_proxy",
            "upstreams": [{ "dial": format!("{ORIGIN}:{port}") }],
            "transport": { "protocol": "http", "keep_alive": {
                "max_idle_conns": KEPT, "max_idle_conns_per_host": KEPT, "idle_timeout": "600s",
            }},
        }])
    };
    let sites = json!([
        { "match": [{ "host": hosts, "path": ["/echo"] }], "handle": proxy(ECHO), "terminal": true },
        { "match": [{ "host": hosts }], "handle": proxy(ORIGIN_A), "terminal": true },
    ]);
    let server = |address: std::net::SocketAddr, tls: bool| {
        let mut server = json!({
            "listen": [address.to_string()],
            "routes": sites,
            "logs": {},
            "automatic_https": { "disable": true },
            "idle_timeout": "600s",
        });
        if tls {
            server["tls_connection_policies"] = json!([{}]);
        }
        server
    };
    json!({
        "admin": { "disabled": true },
        // Its access log goes where its output goes: nowhere.
        "logging": { "logs": { "default": { "writer": { "output": "stdout" }, "level": "INFO" } } },
        "storage": { "module": "file_system", "root": stage.path("caddy") },
        "apps": {
            "http": { "servers": {
                "http": server(listen.http, false),
                "https": server(listen.https, true),
            }},
            "tls": { "certificates": { "load_files": [{
                "certificate": stage.path("chain.pem"), "key": stage.path("key.pem"),
            }]}},
        },
    })
}
