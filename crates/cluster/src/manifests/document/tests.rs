use super::*;

fn parse_yaml(text: &str) -> Result<Parsed<Object>, String> {
    parse(Path::new("test.yaml"), text.as_bytes(), &mut Some).map_err(|problem| problem.to_string())
}

fn declared(parsed: &Parsed<Object>) -> Vec<String> {
    let declarations = parsed.declarations.iter();
    declarations
        .map(|declaration| declaration.object.to_string())
        .collect()
}

fn problems(parsed: &Parsed<Object>) -> Vec<String> {
    parsed.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn lists_of_any_sort() {
    let parsed = parse_yaml(
        "apiVersion: v1\nkind: List\nitems:\n\
         - {apiVersion: v1, kind: Service, metadata: {name: a}}\n\
         - {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Node, metadata: {name: n}}]}\n\
         ---\n{apiVersion: v1, kind: ServiceList, items: [{metadata: {name: b, namespace: x}}]}\n\
         ---\n{apiVersion: networking.k8s.io/v1, kind: IngressList, items: [{metadata: {name: i}}]}\n\
         ---\n{apiVersion: v1, kind: ServiceList}\n",
    );
    let parsed = parsed.unwrap();
    assert_eq!(
        declared(&parsed),
        [
            "Service default/a",
            "Node n",
            "Service x/b",
            "Ingress default/i"
        ]
    );
    assert_eq!(problems(&parsed), Vec::<String>::new());
}

#[test]
fn json_files_hold_several_documents_too() {
    let text = br#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
                   {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}}"#;
    let parsed = parse(Path::new("x.json"), text, &mut Some).unwrap();
    assert_eq!(
        declared(&parsed),
        ["Service default/a", "Service default/b"]
    );
    let problem = parse(Path::new("x.json"), b"{\"kind\": ", &mut Some::<Object>)
        .unwrap_err()
        .to_string();
    assert!(
        problem.starts_with("File x.json document 1: EOF"),
        "{problem}"
    );
}

#[test]
fn anchors_and_merge_keys() {
    let parsed = parse_yaml(
        "apiVersion: v1\nkind: List\nitems:\n\
         - &a {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80}]}}\n\
         - {<<: *a, metadata: {name: b}}\n",
    );
    let parsed = parsed.unwrap();
    assert_eq!(
        declared(&parsed),
        ["Service default/a", "Service default/b"]
    );
    let Some([Object::Service(b)]) = parsed.declarations[1].content.as_deref() else {
        panic!("{parsed:?}")
    };
    assert_eq!(b.spec.as_ref().unwrap().ports.as_ref().unwrap()[0].port, 80);
}

#[test]
fn a_small_file_cannot_ask_for_much_memory() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    let problem = parse_yaml(&bomb).unwrap_err();
    assert!(
        problem.starts_with("File test.yaml document 1"),
        "{problem}"
    );

    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse_yaml(&deep).is_err());
    assert!(parse(Path::new("x.json"), deep.as_bytes(), &mut Some::<Object>).is_err());
}

#[test]
fn syntax_errors_name_document_and_line_in_one_line() {
    for (text, place) in [
        ("kind: [Service\n", "document 1"),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}}\n---\na: b: c\n",
            "document 2, line 3",
        ),
        ("a: 1\na: 2\n", "document 1, line 2"),
        ("\u{0}", "document 1"),
        ("a: *nowhere\n", "document 1, line 1"),
        ("a: \"open\n", "document 1"),
    ] {
        let problem = parse_yaml(text).expect_err(text);
        assert!(
            problem.starts_with(&format!("File test.yaml {place}")),
            "{text:?}: {problem}"
        );
        assert!(!problem.contains('\n'), "{problem:?}");
        assert!(problem.len() < 500, "{problem}");
    }
    let problem = parse(
        Path::new("test.yaml"),
        b"kind: \xff\xfe\n",
        &mut Some::<Object>,
    )
    .unwrap_err()
    .to_string();
    assert_eq!(
        problem,
        "File test.yaml is not UTF-8 text from byte 6 on; its last good content stays in use"
    );
}

#[test]
fn what_is_no_object_is_left_out() {
    let parsed = parse_yaml("just text\n---\n[1, 2]\n---\n{kind: Service}\n---\n{a: b}\n").unwrap();
    assert_eq!(
        problems(&parsed),
        [
            "File test.yaml document 1: is no Kubernetes object: it has no kind; it is left out",
            "File test.yaml document 2: is no Kubernetes object: it has no kind; it is left out",
            "File test.yaml document 3: this Service has no metadata.name; it is left out",
            "File test.yaml document 4: is no Kubernetes object: it has no kind; it is left out",
        ]
    );
    assert!(parsed.declarations.is_empty());
}

#[test]
fn kinds_are_known_by_their_group() {
    let parsed = parse_yaml(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}\n\
         ---\n{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}}\n\
         ---\n{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {x: eA==}}\n\
         ---\n{apiVersion: networking.k8s.io/v1beta1, kind: ServiceCIDR, metadata: {name: a}}\n",
    );
    let parsed = parsed.unwrap();
    assert_eq!(
        parsed.skipped,
        ["Deployment (apps/v1)", "Service (serving.knative.dev/v1)"]
    );
    assert_eq!(declared(&parsed), ["Secret default/a", "ServiceCIDR a"]);
    assert_eq!(problems(&parsed), Vec::<String>::new());
}

#[test]
fn old_versions_say_what_to_do() {
    for version in ["extensions/v1beta1", "networking.k8s.io/v1beta1"] {
        let text = format!("{{apiVersion: {version}, kind: Ingress, metadata: {{name: a}}}}");
        let parsed = parse_yaml(&text).unwrap();
        let expected = format!(
            "Ingress default/a apiVersion: {version} is not supported; convert the object to \
             networking.k8s.io/v1 (document 1 of test.yaml)"
        );
        assert_eq!(problems(&parsed), [expected]);
        assert!(parsed.declarations[0].content.is_none());
    }
}

#[test]
fn fields_of_a_wrong_type_are_named() {
    for (fields, said) in [
        (
            "spec: {ports: [{port: http}]}",
            "spec.ports[0].port: invalid type: string \"http\"",
        ),
        (
            "spec: {ports: [{port: 99999999999}]}",
            "spec.ports[0].port: invalid value: integer",
        ),
        (
            "spec: {clusterIP: 10}",
            "spec.clusterIP: invalid type: integer `10`",
        ),
        ("spec: 7", "spec: invalid type: integer `7`"),
    ] {
        let text = format!("{{apiVersion: v1, kind: Service, metadata: {{name: a}}, {fields}}}");
        let parsed = parse_yaml(&text).unwrap();
        let problems = problems(&parsed);
        assert!(
            problems[0].starts_with(&format!("Service default/a {said}")),
            "{problems:?}"
        );
        assert!(parsed.declarations[0].content.is_none());
    }
}

#[test]
fn words_of_old_yaml_are_words() {
    let parsed = parse_yaml(
        "{apiVersion: v1, kind: Service, metadata: {name: no, labels: {a: yes, b: on}}, \
          spec: {clusterIP: None}}",
    );
    assert_eq!(declared(&parsed.unwrap()), ["Service default/no"]);
}

#[test]
fn endpoints_become_slices() {
    let parsed = parse_yaml(
        "{apiVersion: v1, kind: Endpoints, metadata: {name: web}, subsets: [\
         {addresses: [{ip: 10.0.0.1, nodeName: n}, {ip: 'fd00::1'}], notReadyAddresses: [{ip: 10.0.0.2}], \
         ports: [{port: 80}, {name: dns, port: 53, protocol: UDP}]}, {addresses: [{ip: 10.0.0.3}]}]}",
    );
    let content = parsed.unwrap().declarations.remove(0).content.unwrap();
    let slices = content.iter().map(|object| match object {
        Object::EndpointSlice(slice) => slice,
        other => panic!("{other:?}"),
    });
    let texts: Vec<String> = slices
        .map(|slice| {
            let labels = slice.metadata.labels.as_ref().unwrap();
            assert_eq!(labels["kubernetes.io/service-name"], "web");
            let endpoints = slice.endpoints.iter().map(|endpoint| {
                let ready = endpoint.conditions.as_ref().unwrap().ready.unwrap();
                format!("{}:{ready}", endpoint.addresses[0])
            });
            let ports = slice
                .ports
                .as_deref()
                .unwrap_or_default()
                .iter()
                .map(|port| format!("{}/{}", port.name.as_deref().unwrap(), port.port.unwrap()));
            let endpoints = endpoints.collect::<Vec<_>>().join(" ");
            let ports = ports.collect::<Vec<_>>().join(" ");
            let name = slice.metadata.name.as_deref().unwrap();
            format!("{name} {}: {endpoints} {ports}", slice.address_type)
        })
        .collect();
    assert_eq!(
        texts,
        [
            "endpoints:web:0:IPv4 IPv4: 10.0.0.1:true 10.0.0.2:false /80 dns/53",
            "endpoints:web:0:IPv6 IPv6: fd00::1:true /80 dns/53",
            "endpoints:web:1:IPv4 IPv4: 10.0.0.3:true ",
        ]
    );
}
