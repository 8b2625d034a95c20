use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The slices that say what an Endpoints object says, as the API's mirroring controller makes them:
/// one for each subset and address family. Their names hold a colon, so that no slice that
/// somebody wrote can have the same.
pub(super) fn slices(object: &Endpoints) -> impl Iterator<Item = EndpointSlice> {
    let subsets = object.subsets.iter().flatten().enumerate();
    subsets.flat_map(move |(number, subset)| {
        let families = ["IPv4", "IPv6"].into_iter();
        families.filter_map(move |family| slice(&object.metadata, number, subset, family))
    })
}

fn slice(
    metadata: &ObjectMeta,
    number: usize,
    subset: &EndpointSubset,
    family: &str,
) -> Option<EndpointSlice> {
    let name = metadata.name.clone()?;
    let endpoints = |addresses: &Option<Vec<EndpointAddress>>, ready| -> Vec<Endpoint> {
        let addresses = addresses.iter().flatten();
        let addresses = addresses.filter(|address| (family == "IPv6") == address.ip.contains(':'));
        addresses.map(|address| endpoint(address, ready)).collect()
    };
    let mut all = endpoints(&subset.addresses, true);
    all.extend(endpoints(&subset.not_ready_addresses, false));
    if all.is_empty() {
        return None;
    }
    let ports = subset.ports.iter().flatten().map(|port| EndpointPort {
        app_protocol: port.app_protocol.clone(),
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: port.protocol.clone(),
    });
    Some(EndpointSlice {
        address_type: family.to_owned(),
        endpoints: all,
        metadata: ObjectMeta {
            name: Some(format!("endpoints:{name}:{number}:{family}")),
            namespace: metadata.namespace.clone(),
            labels: Some([("kubernetes.io/service-name".to_owned(), name)].into()),
            ..ObjectMeta::default()
        },
        ports: Some(ports.collect()),
    })
}

fn endpoint(address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            serving: Some(ready),
            terminating: Some(false),
        }),
        node_name: address.node_name.clone(),
        ..Endpoint::default()
    }
}
