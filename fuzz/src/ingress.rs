//! Ingresses on their way to the route table that requests are routed by.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_cluster::{Object, fuzzing};
use fairway_model::{Changes, HostPattern, HostRoutes, PathMatch, Rule, RuleId, Snapshot};
use fairway_router::{Builder, Host, Path, Request};
use serde_json::{Value, json};

use crate::path;

/// Choices, and text that rules are made of.
pub const PIECES: &[&[u8]] = &[
    b"\0",
    b"\x01",
    b"\x02",
    b"\x03",
    b"\x04",
    b"\x08",
    b"\xff",
    b"/\0",
    b"/a\0",
    b"/a/\0",
    b"/a/b\0",
    b"/%61\0",
    b"/a//b\0",
    b"/../a\0",
    b"/caf\xc3\xa9\0",
    b"a.com\0",
    b"b.a.com\0",
    b"*.a.com\0",
    b"*\0",
    b"*.*.a.com\0",
    b"A.com\0",
    b"10.0.0.1\0",
    b"a.com:80\0",
    b"a.com.\0",
    b"/.well-known/x_y.z\0",
    b"x\0",
];

/// The Ingress beside all others, older than they are.
const GOOD: &str = "good.example";

/// Whatever other Ingresses say: the good one is served, the order in which they come does not matter, and
/// requests go where a plain search of the table sends them.
pub fn check(input: &[u8]) {
    let ingresses = Choices(input).ingresses();
    let (there, said) = read(&ingresses, false);
    let (back, said_back) = read(&ingresses, true);
    assert!(
        there.routes.hosts.iter().eq(back.routes.hosts.iter()),
        "the order matters for {ingresses:?}"
    );
    assert_eq!(sorted(said), sorted(said_back), "of {ingresses:?}");

    let index = Builder::new().apply(&there, &Changes::everything(&there));
    let find = |host: &str, path: &str| -> Option<RuleId> {
        let host = Host::parse(host.as_bytes()).ok()?;
        let path = Path::parse(path).ok()?;
        let request = Request {
            host: &host,
            path: &path,
            method: "GET",
        };
        index.find(request).map(|route| route.id.clone())
    };
    let is_good = |id: &RuleId| &*id.object.name.name == "good";
    let at_good = there.routes.hosts.get(&HostPattern::Exact(GOOD.into()));
    let mut rules = at_good.expect("its host is served").rules.iter();
    assert!(rules.any(|rule| is_good(&rule.id)), "{ingresses:?}");
    // Others may add to its host, such as the exact path "/", which comes first then.
    let mut others = ingresses[1..].iter();
    if !others.any(|it| it.to_string().contains(GOOD)) {
        let found = find(GOOD, "/").expect("the good one is served");
        assert!(is_good(&found), "{ingresses:?}");
    }
    for (host, path) in questions(&there) {
        let Ok(parsed) = Path::parse(&path) else {
            panic!("a rule has the path {path:?}, which no request can have");
        };
        let expected = plainly(&there, &host, &parsed.matched).map(|rule| rule.id.clone());
        assert_eq!(
            find(&host, &path),
            expected,
            "{host}{path} of {ingresses:?}"
        );
    }
}

/// The model of the Ingresses, and what is said about them.
fn read(ingresses: &[Value], reversed: bool) -> (Arc<Snapshot>, Vec<String>) {
    let class =
        json!({"metadata": {"name": "fairway"}, "spec": {"controller": "fairway.dev/ingress"}});
    let class = serde_json::from_value(class).expect("a class");
    let service = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    });
    let service = serde_json::from_value(service).expect("a Service");
    let secret = json!({
        "metadata": {"name": "x", "namespace": "default"}, "type": "kubernetes.io/tls",
        "data": {"tls.crt": "bm8gUEVN", "tls.key": "bm8gUEVN"},
    });
    let secret = serde_json::from_value(secret).expect("a Secret");
    let mut objects = vec![
        Object::IngressClass(Box::new(class)),
        Object::Service(Box::new(service)),
        Object::Secret(Box::new(secret)),
    ];
    let ingresses = ingresses.iter().map(|ingress| {
        let ingress = serde_json::from_value(ingress.clone());
        Object::Ingress(Box::new(ingress.expect("its fields have their types")))
    });
    objects.extend(ingresses);
    if reversed {
        objects.reverse();
    }
    fuzzing::snapshot(objects)
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}

/// Requests at, below and beside every rule of every host.
fn questions(snapshot: &Snapshot) -> Vec<(String, String)> {
    let mut questions = Vec::new();
    for (pattern, routes) in snapshot.routes.hosts.iter() {
        let host = match pattern {
            HostPattern::Exact(host) => host.to_string(),
            HostPattern::Wildcard { suffix, .. } => format!("label.{suffix}"),
            HostPattern::Any => "elsewhere.example".to_owned(),
        };
        for path in routes.rules.iter().filter_map(form) {
            let below = format!("{}/x", path.trim_end_matches('/'));
            let beside = format!("{path}x");
            let all = [path, below, beside].map(|path| (host.clone(), path));
            questions.extend(all);
        }
        questions.push((host, "/nowhere".to_owned()));
    }
    questions
}

/// The rule for a request: by the most specific host, and there the longest path, exact before prefix.
fn plainly<'a>(snapshot: &'a Snapshot, host: &str, path: &str) -> Option<&'a Rule> {
    let hosts: BTreeMap<&HostPattern, &Arc<HostRoutes>> = snapshot.routes.hosts.iter().collect();
    let exact = HostPattern::Exact(host.into());
    let parent = host.split_once('.').map_or("", |(_, parent)| parent);
    let wildcard = |it: &HostPattern| matches!(it, HostPattern::Wildcard { suffix, .. } if **suffix == *parent);
    let routes = hosts.get(&exact).or_else(|| {
        let mut others = hosts.iter();
        let wild = others
            .find(|(it, _)| wildcard(it))
            .map(|(_, routes)| routes);
        wild.or_else(|| hosts.get(&HostPattern::Any))
    })?;
    let matching = routes.rules.iter().filter_map(|rule| {
        let text = form(rule)?;
        let length = match &rule.matches.path {
            PathMatch::Exact(_) => (text == path).then_some((1, text.len())),
            _ => {
                let rest = path.strip_prefix(text.trim_end_matches('/'))?;
                let whole = rest.is_empty() || rest.starts_with('/');
                whole.then_some((0, text.len()))
            }
        };
        length.map(|length| (length, rule))
    });
    // Of equals the first.
    let mut best: Option<((i32, usize), &Rule)> = None;
    for (length, rule) in matching {
        if best.is_none_or(|(most, _)| length > most) {
            best = Some((length, rule));
        }
    }
    best.map(|(_, rule)| rule).or(routes.default.as_ref())
}

/// A rule's path as requests have it; None where none can.
fn form(rule: &Rule) -> Option<String> {
    let (PathMatch::Exact(path) | PathMatch::Prefix(path)) = &rule.matches.path else {
        panic!("Ingress has no regular expressions: {rule:?}");
    };
    let mut escaped = String::new();
    for byte in path.bytes() {
        match byte {
            b'\\' | b'#' | b'?' => escaped += &format!("%{byte:02X}"),
            b'!'..=b'~' => escaped.push(char::from(byte)),
            _ => escaped += &format!("%{byte:02X}"),
        }
    }
    path::plainly(&escaped).map(|(matched, _)| matched)
}

/// Makes objects of bytes: each is a choice, or text up to a 0.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn ingresses(mut self) -> Vec<Value> {
        let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
        let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
        let mut all = vec![json!({
            "metadata": {"name": "good", "namespace": "default", "creationTimestamp": "2020-01-01T00:00:00Z"},
            "spec": {"ingressClassName": "fairway", "rules": [{"host": GOOD, "http": {"paths": [path]}}]},
        })];
        for number in 0..self.below(4) {
            // Names in another order than ages, some of which are equal.
            let name = format!("{}-{number}", ["b", "a", "c"][self.below(3)]);
            let created = format!("2026-01-01T00:00:{:02}Z", self.below(3));
            let mut spec = json!({});
            match self.below(8) {
                0 => {}
                1 => spec["ingressClassName"] = self.text().into(),
                _ => spec["ingressClassName"] = "fairway".into(),
            }
            if self.below(4) == 0 {
                spec["defaultBackend"] = self.backend();
            }
            let rules = self.below(4);
            spec["rules"] = (0..rules).map(|_| self.rule()).collect();
            if self.below(4) == 0 {
                spec["tls"] = json!([{"hosts": [self.text()], "secretName": self.text()}]);
            }
            all.push(json!({
                "metadata": {"name": name, "namespace": "default", "creationTimestamp": created},
                "spec": spec,
            }));
        }
        all
    }

    fn rule(&mut self) -> Value {
        let mut rule = json!({});
        match self.below(8) {
            0 => {}
            1 | 2 => rule["host"] = self.text().into(),
            choice => {
                let hosts = ["a.com", "b.a.com", "*.a.com", "*.com", "c"];
                rule["host"] = hosts[choice - 3].into();
            }
        }
        let paths = self.below(5);
        if paths > 0 {
            let paths = (0..paths).map(|_| self.path()).collect::<Value>();
            rule["http"] = json!({"paths": paths});
        }
        rule
    }

    fn path(&mut self) -> Value {
        let mut path = json!({"backend": self.backend()});
        path["pathType"] = match self.below(8) {
            0 => self.text().into(),
            1 => "ImplementationSpecific".into(),
            2..=4 => "Exact".into(),
            _ => "Prefix".into(),
        };
        match self.below(8) {
            0 => {}
            1..=4 => path["path"] = self.text().into(),
            choice => path["path"] = ["/", "/a", "/a/"][choice - 5].into(),
        }
        path
    }

    fn backend(&mut self) -> Value {
        match self.below(8) {
            0 => json!({}),
            1 => json!({"resource": {"kind": "Bucket", "name": self.text()}}),
            2 => json!({"service": {"name": self.text(), "port": {"number": 80}}}),
            3 => json!({"service": {"name": "web", "port": {"name": self.text()}}}),
            4 => {
                json!({"service": {"name": "web", "port": {"number": i32::from(self.byte()) * 1000}}})
            }
            5 => json!({"service": {"name": "web"}}),
            _ => json!({"service": {"name": "web", "port": {"number": 80}}}),
        }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: u8) -> usize {
        usize::from(self.byte() % limit)
    }

    fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0);
        let (text, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}
