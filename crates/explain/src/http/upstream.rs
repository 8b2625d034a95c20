//! Who gets a request: Services, their ports and endpoints.

use std::sync::Arc;

use fairway_model::{
    BackendPort, Endpoint, Protocol, Service, ServiceKind, ServicePort, UpstreamPolicy, Weights,
};
use fairway_router::{Endpoints, Upstream, UsableEndpoint};

use crate::endpoints::{Use, describe, percent};
use crate::{Answer, Backend, Outcome, World, filters};

/// The Services of a rule, with all their endpoints.
pub(crate) fn backends(
    world: &World,
    backends: &[(u32, Arc<Upstream>)],
    policy: &UpstreamPolicy,
) -> Vec<Backend> {
    let total: usize = backends.iter().map(|(weight, _)| *weight as usize).sum();
    backends
        .iter()
        .map(|(weight, upstream)| {
            let key = &upstream.key;
            let service = world.snapshot.services.get(&key.service);
            Backend {
                service: key.service.to_string(),
                port: key.port.to_string(),
                share: percent(*weight as usize, total),
                manner: filters::manner(policy, upstream),
                trouble: trouble(&upstream.endpoints(), service.map(Arc::as_ref), &key.port),
                endpoints: endpoints(&upstream.endpoints(), service.map(Arc::as_ref), &key.port),
            }
        })
        .collect()
}

/// What comes of it.
pub(crate) fn answer(backends: &[Backend]) -> Answer {
    let able: Vec<_> = backends.iter().filter(|it| it.trouble.is_none()).collect();
    let name = |it: &Backend| format!("Service {} port {}", it.service, it.port);
    let advice = backends.iter().filter_map(|it| {
        let trouble = it.trouble.as_deref()?;
        Some(format!("{}: {trouble}", name(it)))
    });
    let advice: Vec<_> = advice.collect();
    if able.is_empty() {
        return Answer {
            outcome: Outcome::Answered,
            status: Some(503),
            summary: match advice.first() {
                Some(first) => format!("503: {first}"),
                None => "503: there is nobody to ask".to_owned(),
            },
            advice: advice.into_iter().skip(1).collect(),
        };
    }
    let names: Vec<_> = able
        .iter()
        .map(|backend| {
            let used = backend.endpoints.iter().filter(|it| it.used).count();
            let of = backend.endpoints.len();
            let share = match able.len() {
                1 => String::new(),
                _ => format!(" for {} %", backend.share),
            };
            format!("{}{share} ({used} of {of} endpoints in use)", name(backend))
        })
        .collect();
    Answer {
        outcome: Outcome::Forwarded,
        status: None,
        summary: format!("forwarded to {}", names.join(", ")),
        advice,
    }
}

fn trouble(state: &Endpoints, service: Option<&Service>, port: &BackendPort) -> Option<String> {
    Some(match state {
        Endpoints::Usable(_) => return None,
        Endpoints::NoService => "there is no such Service".to_owned(),
        Endpoints::NoPort => {
            let ports = service.into_iter().flat_map(|service| &service.ports);
            let tcp = ports.filter(|port| port.protocol == Protocol::Tcp);
            let ports: Vec<_> = tcp.map(name_of_port).collect();
            match ports.is_empty() {
                true => format!("the Service has no TCP port {port}, and no other"),
                false => format!(
                    "the Service has no TCP port {port}; it has {}",
                    ports.join(", ")
                ),
            }
        }
        Endpoints::None => {
            let port = service.and_then(|service| tcp_port(service, port));
            match port.map_or(0, |port| port.endpoints.len()) {
                0 => "it has no endpoints: do its selector's pods exist?".to_owned(),
                count => format!("none of its {count} endpoints is ready"),
            }
        }
        Endpoints::Unresolved => match service.map(|service| &service.kind) {
            Some(ServiceKind::ExternalName(host)) => {
                format!("it is an alias of {host}, of which no address is known that may be asked")
            }
            _ => "no address is known that may be asked".to_owned(),
        },
    })
}

/// A port with its name.
pub(crate) fn name_of_port(port: &ServicePort) -> String {
    match port.name.is_empty() {
        true => format!("{}/{}", port.port, port.protocol),
        false => format!("{}/{} ({})", port.port, port.protocol, port.name),
    }
}

fn endpoints(
    state: &Endpoints,
    service: Option<&Service>,
    wanted: &BackendPort,
) -> Vec<crate::Endpoint> {
    let usable: &[UsableEndpoint] = match state {
        Endpoints::Usable(usable) => usable,
        _ => &[],
    };
    let asked_first = |it: &&UsableEndpoint| !it.is_remote;
    let total = usable
        .iter()
        .filter(asked_first)
        .map(|it| usize::from(it.weight))
        .sum();
    let how = |address| {
        let found = usable.iter().find(|it| it.address == address);
        Use {
            used: found.is_some(),
            share: found
                .filter(|it| !it.is_remote)
                .map(|it| percent(usize::from(it.weight), total)),
            in_reserve: found.is_some_and(|it| it.is_remote),
            ..Use::default()
        }
    };
    let Some(service) = service else {
        return Vec::new();
    };
    if let ServiceKind::ExternalName(_) = service.kind {
        // What its name stands for.
        let addresses = usable.iter().map(|it| {
            Endpoint::ready(
                it.address.ip(),
                it.address
                    .port()
                    .try_into()
                    .unwrap_or(std::num::NonZeroU16::MIN),
            )
        });
        return addresses
            .map(|it| describe(&it, &Weights::default(), how(it.socket_address())))
            .collect();
    }
    let port = tcp_port(service, wanted);
    let all = port.map_or(&[][..], |port| &port.endpoints);
    all.iter()
        .map(|it| describe(it, &service.weights, how(it.socket_address())))
        .collect()
}

fn tcp_port<'a>(service: &'a Service, wanted: &BackendPort) -> Option<&'a ServicePort> {
    let mut ports = service.ports.iter();
    ports.find(|port| {
        port.protocol == Protocol::Tcp
            && match wanted {
                BackendPort::Number(number) => port.port == *number,
                BackendPort::Name(name) => port.name == *name,
            }
    })
}
