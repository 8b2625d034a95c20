use std::process::Child;

use anyhow::Result;
use fairway_testkit::ApiServer;
use fairway_testkit::Family;
use fairway_testkit::objects::{self, Object, endpoint_slice, ingress};
use serde_json::Value;

use super::{Listen, Routes};
use crate::requests::install::Programs;
use crate::requests::stage::{ORIGIN, ORIGINS, Stage, host};

const NODE: &str = "compare";

/// An API server with an Ingress for each host.
pub(super) fn objects(stage: &Stage, routes: Routes) -> Result<ApiServer> {
    let server = stage.namespace.run(ApiServer::start)?;
    let apply = |object: Value| server.apply(object);
    apply(objects::ingress_class("fairway", "fairway.dev/ingress").build())?;
    apply(objects::tls_secret("tls", &stage.issued).build())?;
    for (name, port) in ORIGINS {
        apply(objects::service(name).headless().tcp("", 80).build())?;
        let slice = endpoint_slice(name, Family::V4).tcp("", port);
        apply(slice.endpoint(ORIGIN.into(), None).build())?;
    }
    for number in 0..routes.hosts {
        apply(route(number, "a").build())?;
    }
    Ok(server)
}

fn route(number: usize, service: &str) -> Object<objects::Ingress> {
    let host = host(number);
    ingress(&format!("route-{number}"))
        .class("fairway")
        .prefix(&host, "/", service, 80)
        .prefix(&host, "/echo", "echo", 80)
}

pub(super) fn move_host(server: &ApiServer, moved: Option<usize>) -> Result<()> {
    let (number, service) = match moved {
        Some(number) => (number, "b"),
        None => (crate::requests::route_change::MOVED, "a"),
    };
    server.apply(route(number, service).build())
}

pub(super) fn start(
    stage: &Stage,
    programs: &Programs,
    listen: Listen,
    server: &ApiServer,
) -> Result<Child> {
    let kubeconfig = stage.path("kubeconfig");
    server.write_kubeconfig(&kubeconfig)?;
    let kubeconfig = kubeconfig.display().to_string();
    let (http, https) = (listen.http.to_string(), listen.https.to_string());
    stage.start(
        &programs.fairway,
        &[
            "run",
            "--service-proxy=false",
            "--hostname-override",
            NODE,
            "--kubeconfig",
            &kubeconfig,
            "--ingress-http-address",
            &http,
            "--ingress-https-address",
            &https,
            // In clear text, too: with a certificate of its own a host would be redirected.
            "--default-tls-secret=default/tls",
            "--healthz-bind-address=",
            "--metrics-bind-address=127.0.0.1:10249",
        ],
    )
}
