use fairway_model::{Service, Snapshot, Update};

/// How many Services changed themselves, and of how many the endpoints did.
pub(super) fn count(before: &Snapshot, update: &Update) -> [u32; 2] {
    let mut counts = [0; 2];
    for name in &update.changes.services {
        let versions = [before, &update.snapshot]
            .map(|snapshot| snapshot.services.get(name).map(|service| &**service));
        let [old, new] = versions.map(|service| {
            let ports = service.iter().flat_map(|service| &service.ports);
            ports.map(|port| &port.endpoints).collect::<Vec<_>>()
        });
        let service_changed = match versions {
            [Some(before), Some(after)] if old != new => with_endpoints_of(before, after) != *after,
            _ => versions[0] != versions[1],
        };
        counts[0] += u32::from(service_changed);
        counts[1] += u32::from(old != new);
    }
    counts
}

/// A Service as it was, but for its endpoints.
fn with_endpoints_of(before: &Service, after: &Service) -> Service {
    let mut service = before.clone();
    for (port, after) in service.ports.iter_mut().zip(&after.ports) {
        port.endpoints = after.endpoints.clone();
    }
    service
}
