use std::fmt::Write as _;
use std::process::Child;

use anyhow::Result;

use super::{Listen, Routes};
use crate::requests::process::{Signal, signal};
use crate::requests::stage::{ORIGIN, ORIGINS, Stage, host};

const MAP: &str = "haproxy.map";

pub(super) fn start(stage: &Stage, listen: Listen, routes: Routes) -> Result<Child> {
    stage.write(MAP, map(routes))?;
    let file = stage.write("haproxy.cfg", config(stage, listen))?;
    stage.start("haproxy", &["-W", "-f", &file.display().to_string()])
}

/// As a reload of its service does.
pub(super) fn reload(stage: &Stage, _: Listen, routes: Routes, master: u32) -> Result<()> {
    stage.write(MAP, map(routes))?;
    signal(master, Signal::USR2)
}

fn map(routes: Routes) -> String {
    let mut map = String::new();
    for number in 0..routes.hosts {
        // Writing to a String does not fail.
        let _ = writeln!(map, "{} {}", host(number), routes.origin(number));
    }
    map
}

fn config(stage: &Stage, listen: Listen) -> String {
    let Listen { http, https } = listen;
    let (map, both) = (stage.path(MAP), stage.path("both.pem"));
    let (map, both) = (map.display(), both.display());
    let backends = ORIGINS.map(|(name, port)| {
        format!("backend {name}\n  server {name} {ORIGIN}:{port} pool-max-conn -1\n")
    });
    format!(
        "global
  nbthread 1
  maxconn {}
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout tunnel 600s
frontend web
  bind {http} backlog 4096
  bind {https} backlog 4096 ssl crt {both} alpn h2,http/1.1
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Real-IP %[src]
  use_backend echo if {{ path_beg /echo }}
  use_backend %[req.hdr(host),field(1,:),lower,map({map})]
{}",
        stage.clients,
        backends.concat()
    )
}
