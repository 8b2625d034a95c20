//! TLS on both sides of the router, as policies set it.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fairway_testkit::ask::Answer;
use fairway_testkit::certificates::{Authority, Issued};
use fairway_testkit::lab::Pod;
use fairway_testkit::objects::{self, ingress, secret, tls_secret};
use fairway_testkit::{Family, ask};
use tempfile::TempDir;

use super::Governed;
use crate::ingress::site::Site;
use crate::support::{Feed, becomes, fed_both_ways};

fed_both_ways!(
    clients_show_certificates_where_a_policy_wants_them,
    a_mistake_lets_nobody_in,
    upstreams_are_verified_and_passed_through,
);

const HTTPS: u16 = 8443;

/// A server that speaks TLS and nothing else, and is not ours.
const SERVER: &str = r#"
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"by TLS"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

/// Ends with the test.
struct Server(Child, #[expect(dead_code, reason = "held")] TempDir);

impl Server {
    fn start(pod: &Pod, issued: &Issued) -> Self {
        let directory = TempDir::new().unwrap();
        let file = write(
            &directory,
            "server.pem",
            &format!("{}{}", issued.chain, issued.key),
        );
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", SERVER, &file]).stderr(Stdio::null());
        let child = pod.ns().spawn(command).unwrap();
        let address = SocketAddr::new(pod.ip(Family::V4), HTTPS);
        becomes(true, "the server listens", || {
            ask::open(pod.ns(), address).is_ok()
        });
        Self(child, directory)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn write(directory: &TempDir, name: &str, content: &str) -> String {
    let path = directory.path().join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Asks https://HOST/ with curl; what came, or curl's complaint.
fn curl(site: &Site, host: &str, arguments: &[&str]) -> String {
    let to = site.router("node-1").ip();
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "10", "--connect-to"]);
    command.arg(format!("{host}:443:{to}:{HTTPS}"));
    command.args(arguments).arg(format!("https://{host}/"));
    let output = site.lab().client().ns().output(command).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text + &String::from_utf8_lossy(&output.stderr)
}

fn clients_show_certificates_where_a_policy_wants_them(feed: Feed) {
    let governed = Governed::new(
        feed,
        &["web"],
        "
- selector: {host: '*.example'}
  clientCertificates: {authorities: default/clients, mode: optional}
- selector: {ingress: default/strict}
  clientCertificates: {authorities: default/clients}
- selector: {host: open.example}
  clientCertificates: {mode: none}
- redirectToHttps: false",
    );
    let site = &governed.site;
    let [root, stranger] = ["clients", "strangers"].map(|name| Authority::new(name).unwrap());
    site.apply(
        "secrets",
        [secret("clients", "Opaque").field("ca.crt", root.pem())],
    );
    let of = |name: &str, hosts: &[&str]| {
        let ingress = ingress(name).class("fairway");
        let ingress = hosts
            .iter()
            .fold(ingress, |it, host| it.prefix(host, "/", "web", 80));
        ingress.tls(hosts, "")
    };
    let web = of("web", &["some.example", "open.example"]);
    site.apply("ingresses", [web, of("strict", &["strict.example"])]);
    governed.start();

    let directory = TempDir::new().unwrap();
    let credentials = |authority: &Authority, name: &str| {
        let issued = authority.client(name).unwrap();
        let certificate = write(&directory, &format!("{name}.crt"), &issued.chain);
        (
            certificate,
            write(&directory, &format!("{name}.key"), &issued.key),
        )
    };
    let (certificate, key) = credentials(&root, "alice");
    let alice = ["-k", "--cert", &certificate, "--key", &key];
    let (certificate, key) = credentials(&stranger, "mallory");
    let mallory = ["-k", "--cert", &certificate, "--key", &key];
    let forged = [
        "-k",
        "-H",
        "ssl-client-verify: SUCCESS",
        "-H",
        "ssl-client-subject-dn: CN=alice",
    ];

    let seen = |text: &str| serde_json::from_str::<Answer>(text).ok();
    becomes(true, "the Secret is known", || {
        seen(&curl(site, "some.example", &["-k"])).is_some()
    });
    let answer = seen(&curl(site, "strict.example", &alice)).unwrap();
    assert_eq!(answer.header("ssl-client-verify"), ["SUCCESS"]);
    let subject = "O=Example\\, Inc.,CN=alice";
    assert_eq!(answer.header("ssl-client-subject-dn"), [subject]);
    for refused in [&forged[..], &mallory, &["-k"]] {
        let text = curl(site, "strict.example", refused);
        assert!(text.contains("curl: ("), "{text}");
    }
    let answer = seen(&curl(site, "some.example", &forged)).unwrap();
    assert_eq!(answer.header("ssl-client-verify"), ["NONE"]);
    assert_eq!(answer.header("ssl-client-subject-dn"), [""; 0]);
    let answer = seen(&curl(site, "open.example", &forged)).unwrap();
    assert_eq!(answer.header("ssl-client-verify"), [""; 0]);
    // A policy lets clear text in, but nobody gets around a certificate by leaving TLS out.
    assert_eq!(site.answers("open.example", "/"), "web");
    for host in ["strict.example", "some.example"] {
        assert_eq!(site.get(host, "/").status, 308, "{host}");
    }
}

/// Beside what protects a host, a mistake in the same policy must not open the host: while the agent
/// runs the policies of before stay, and at a start the host is closed.
fn a_mistake_lets_nobody_in(feed: Feed) {
    const GOOD: &str = "
- selector: {host: admin.example}
  clientCertificates: {authorities: default/clients}";
    let faulty = format!("{GOOD}\n  upstream: {{readTimout: 5m}}");
    let root = Authority::new("clients").unwrap();
    let directory = TempDir::new().unwrap();
    let issued = root.client("alice").unwrap();
    let [certificate, key] = [("alice.crt", &issued.chain), ("alice.key", &issued.key)]
        .map(|(name, content)| write(&directory, name, content));
    let alice = ["-k", "--cert", &certificate, "--key", &key];
    let is_in = |site: &Site, host: &str, arguments: &[&str]| {
        serde_json::from_str::<Answer>(&curl(site, host, arguments)).is_ok()
    };
    let governed = |policies: &str| {
        let governed = Governed::new(feed, &["web"], policies);
        let web = ingress("web").class("fairway");
        let web = web.prefix("admin.example", "/", "web", 80);
        let web = web.prefix("open.example", "/", "web", 80);
        let ca = secret("clients", "Opaque").field("ca.crt", root.pem());
        governed.site.apply("secrets", [ca]);
        governed.site.apply("web", [web]);
        governed.start();
        governed
    };

    let running = governed(GOOD);
    let site = &running.site;
    becomes(true, "the Secret is known", || {
        is_in(site, "admin.example", &alice)
    });
    assert!(!is_in(site, "admin.example", &["-k"]));
    running.set(&faulty);
    let told = "policies[0].upstream.readTimout: unknown field";
    let agent = site.agent("node-1");
    agent.wait_for_log(told, Duration::from_secs(10)).unwrap();
    assert!(!is_in(site, "admin.example", &["-k"]));
    assert!(is_in(site, "admin.example", &alice));
    // Nor does one in the name of all policies.
    running.configure("polices: []\n");
    agent
        .wait_for_log("no field polices", Duration::from_secs(10))
        .unwrap();
    assert!(!is_in(site, "admin.example", &["-k"]));
    drop(running);

    let started = governed(&faulty);
    let site = &started.site;
    let agent = site.agent("node-1");
    agent.wait_for_log(told, Duration::from_secs(10)).unwrap();
    becomes(true, "a host of no faulty policy", || {
        is_in(site, "open.example", &["-k"])
    });
    assert_eq!(site.answers("open.example", "/"), "web");
    assert!(!is_in(site, "admin.example", &["-k"]));
    assert!(!is_in(site, "admin.example", &alice));
    assert_eq!(site.get("admin.example", "/").status, 308);
    started.set(GOOD);
    becomes(true, "the policy is mended", || {
        is_in(site, "admin.example", &alice)
    });
    assert!(!is_in(site, "admin.example", &["-k"]));
}

fn upstreams_are_verified_and_passed_through(feed: Feed) {
    let governed = Governed::new(
        feed,
        &["pod"],
        "
- selector: {path: /}
  upstream: {protocol: https, tls: {serverName: inside.example}}
- selector: {host: verified.example}
  upstream: {tls: {authoritiesSecret: default/upstream-ca}}
- selector: {host: wrong.example}
  upstream: {tls: {authoritiesSecret: default/upstream-ca, serverName: other.example}}
- selector: {host: through.example}
  passthrough: true",
    );
    let site = &governed.site;
    let [root, other] = ["inside", "outside"].map(|name| Authority::new(name).unwrap());
    let pod = site.lab().pod("pod");
    let _server = Server::start(
        &pod,
        &root.server(&["inside.example", "through.example"]).unwrap(),
    );
    let slice = objects::endpoint_slice("secure", Family::V4).tcp("https", HTTPS);
    let service = objects::service("secure").headless().tcp("https", 443);
    site.apply("service", [service]);
    site.apply("slices", [slice.pod(&pod)]);
    let hosts = [
        "plain.example",
        "verified.example",
        "wrong.example",
        "through.example",
    ];
    let web = ingress("web").class("fairway");
    let web = hosts
        .iter()
        .fold(web, |web, host| web.prefix(host, "/", "secure", 443));
    site.apply("web", [web]);
    // For the handshake with clients, not with the upstream.
    site.apply(
        "secrets",
        [tls_secret("unused", &other.server(&["a.example"]).unwrap())],
    );
    governed.start();

    let get = |host: &str| {
        let response = site.get(host, "/");
        (response.status.as_u16(), response.text())
    };
    let good = (200, "by TLS".to_owned());
    assert_eq!(get("plain.example"), good, "encrypted, and that is all");
    assert_eq!(get("verified.example").0, 503, "nobody can be trusted yet");
    let ca =
        |authority: &Authority| secret("upstream-ca", "Opaque").field("ca.crt", authority.pem());
    site.apply("ca", [ca(&root)]);
    becomes(good, "the verified upstream", || get("verified.example"));
    assert_eq!(get("wrong.example").0, 502, "it is somebody else");
    site.apply("ca", [ca(&other)]);
    becomes(502, "an upstream of another authority", || {
        get("verified.example").0
    });

    // The client does TLS with the pod, whose authority it trusts.
    let directory = TempDir::new().unwrap();
    let trusted = write(&directory, "ca.pem", &root.pem());
    let arguments = ["--cacert", &trusted];
    assert_eq!(curl(site, "through.example", &arguments), "by TLS");
}
