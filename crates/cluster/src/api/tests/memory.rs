use super::*;

/// A Service as clusters have it: applied with kubectl, status and bookkeeping included.
fn realistic(index: usize) -> Value {
    let mut service = service(&format!("service-with-a-usual-name-{index:05}"));
    let copy = service.to_string();
    service["metadata"]["labels"] = json!({
        "app.kubernetes.io/name": "web", "app.kubernetes.io/instance": format!("web-{index}"),
        "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "web-1.2.3",
    });
    service["metadata"]["annotations"] = json!({
        "kubectl.kubernetes.io/last-applied-configuration": copy,
        "service.kubernetes.io/topology-mode": "Auto",
    });
    service["status"] = json!({ "loadBalancer": {}, "conditions": [] });
    service
}

#[tokio::test(start_paused = true)]
async fn what_others_write_is_not_kept() {
    let mut bench = Bench::start(&both(), |server| {
        server.apply(realistic(0)).unwrap();
        server
            .apply_yaml(
                "apiVersion: v1\n\
                 kind: Node\n\
                 metadata: {name: node-1, labels: {topology.kubernetes.io/zone: a, team: x}, annotations: {a: b}}\n\
                 spec: {podCIDR: 10.1.0.0/24, providerID: x}\n\
                 status: {addresses: [{type: InternalIP, address: 192.0.2.1}], images: [{names: [x]}]}\n\
                 ---\n\
                 apiVersion: networking.k8s.io/v1\n\
                 kind: Ingress\n\
                 metadata:\n\
                 \x20 name: web\n\
                 \x20 annotations: {kubernetes.io/ingress.class: fairway, meta.helm.sh/release-name: x}\n",
            )
            .unwrap();
    });
    let mut checked = 0;
    for event in bench.whole(SECOND).await {
        let Event::Replace(_, objects) = event else {
            panic!("lists first");
        };
        for object in objects {
            assert_eq!(metadata(&object).managed_fields, None);
            let labels = metadata(&object).labels.clone().unwrap_or_default();
            let annotations = metadata(&object).annotations.clone().unwrap_or_default();
            let annotations: Vec<_> = annotations.into_keys().collect();
            match object {
                Object::Service(service) => {
                    assert!(labels.is_empty());
                    assert_eq!(annotations, ["service.kubernetes.io/topology-mode"]);
                    let spec = service.spec.unwrap();
                    assert_eq!(
                        (spec.selector, spec.cluster_ip.as_deref()),
                        (None, Some("10.96.0.1"))
                    );
                }
                Object::Node(node) => {
                    assert_eq!(
                        labels.into_keys().collect::<Vec<_>>(),
                        ["topology.kubernetes.io/zone"]
                    );
                    assert!(annotations.is_empty());
                    assert_eq!(node.spec.unwrap().provider_id, None);
                    let status = node.status.unwrap();
                    assert_eq!((status.images, status.addresses.unwrap().len()), (None, 1));
                }
                Object::Ingress(_) => assert_eq!(annotations, ["kubernetes.io/ingress.class"]),
                other => panic!("{other:?}"),
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 3);
}

/// A list of 10,000 Services, from the wire to the event.
#[tokio::test(start_paused = true)]
async fn ten_thousand_services_fit() {
    const SERVICES: usize = 10_000;
    let mut bench = Bench::start(&service_proxy_only(), |server| {
        for index in 0..SERVICES {
            server.apply(realistic(index)).unwrap();
        }
    });
    let events = bench.raw(SECOND).await;
    let parts = events.into_iter().filter_map(|event| match event {
        Event::Part(Kind::Service, objects) | Event::Replace(Kind::Service, objects) => {
            Some(objects)
        }
        _ => None,
    });
    let parts: Vec<_> = parts.collect();
    assert!(parts.iter().all(|part| part.len() <= 500));
    let services: Vec<_> = parts.into_iter().flatten().collect();
    assert_eq!(services.len(), SERVICES);
    assert!(
        services
            .iter()
            .all(|service| metadata(service).managed_fields.is_none())
    );
    assert_eq!(bench.lists("services"), SERVICES / 500);

    let bytes = |object: &Object| {
        let mut copy = None;
        let kept = allocation_counter::measure(|| copy = Some(object.clone()));
        kept.bytes_current
    };
    let served = bench
        .server
        .get("Service", "default", &name(&services[0]))
        .unwrap();
    let served = Object::Service(serde_json::from_value(served).unwrap());
    let (served, kept) = (bytes(&served), bytes(&services[0]));
    // Measured: 1.6 kB, half of it the type itself.
    assert!(
        kept <= 2048 && 3 * kept <= served,
        "{kept} bytes of {served} kept"
    );
}
