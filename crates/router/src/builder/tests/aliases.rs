//! Hosts outside of the cluster are known for as long as somebody forwards to an alias of theirs.

use fairway_model::ServiceKind;

use super::*;

fn alias(label: &str, host: &str) -> Service {
    Service {
        kind: ServiceKind::ExternalName(host.into()),
        ..service(label, [])
    }
}

impl Cluster {
    fn locate_host(&mut self, host: &str, address: &str) {
        let addresses = vec![address.parse().unwrap()];
        self.builder.locate_host(host, addresses, &self.snapshot);
    }

    fn external_hosts(&self) -> Vec<&str> {
        self.builder.external_hosts().collect()
    }
}

fn usable(address: &str) -> Endpoints {
    Endpoints::Usable([UsableEndpoint::new(address.parse().unwrap())].into())
}

#[test]
fn a_host_that_is_renamed_leads_where_it_led() {
    let mut cluster = Cluster::default();
    cluster.set_service(alias("db", "db.example"));
    cluster.set_host("a.com", all("db"));
    cluster.apply();
    cluster.locate_host("db.example", "192.0.2.1");

    cluster.remove_host("a.com");
    cluster.set_host("b.com", all("db"));
    let index = cluster.apply();
    assert_eq!(
        **upstream(&index, "b.com").endpoints(),
        usable("192.0.2.1:80")
    );

    cluster.remove_host("b.com");
    cluster.apply();
    assert!(cluster.external_hosts().is_empty());
}

#[test]
fn aliases_that_swap_their_hosts_lead_there_at_once() {
    let mut cluster = Cluster::default();
    let hosts = ["one.example", "two.example"];
    for (label, host) in ["a", "b"].into_iter().zip(hosts) {
        cluster.set_service(alias(label, host));
        cluster.set_host(&format!("{label}.com"), all(label));
    }
    let index = cluster.apply();
    cluster.locate_host("one.example", "192.0.2.1");
    cluster.locate_host("two.example", "192.0.2.2");

    cluster.set_service(alias("a", "two.example"));
    cluster.set_service(alias("b", "one.example"));
    cluster.apply();
    assert_eq!(
        **upstream(&index, "a.com").endpoints(),
        usable("192.0.2.2:80")
    );
    assert_eq!(
        **upstream(&index, "b.com").endpoints(),
        usable("192.0.2.1:80")
    );
    assert_eq!(cluster.external_hosts(), hosts);
}
