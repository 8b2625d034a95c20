//! Which Ingresses are served, while classes come and go.

use fairway_testkit::objects::{self, ingress, ingress_class};
use fairway_testkit::{Lab, lab};

use super::site::Site;
use crate::support::{Cluster, Feed, fed_both_ways};

const ANNOTATION: &str = "kubernetes.io/ingress.class";

fed_both_ways!(classes_select_live);

fn site(feed: Feed, flags: &[&str]) -> Site {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let site = Site::new(Cluster::new(feed, lab).with_flags(flags));
    site.apply_apps(&["web"]);
    site.start();
    site
}

/// An Ingress for a host of its own name.
fn host(name: &str) -> objects::Object<objects::Ingress> {
    ingress(name).prefix(name, "/", "web", 80)
}

fn classes_select_live(feed: Feed) {
    let site = site(feed, &[]);
    site.apply(
        "ingresses",
        [
            host("field").class("fairway"),
            host("annotation").annotation(ANNOTATION, "fairway"),
            // The API server lets both be set, and differ, by an update.
            host("field-of-another")
                .class("other")
                .annotation(ANNOTATION, "fairway"),
            host("annotation-of-another")
                .class("fairway")
                .annotation(ANNOTATION, "other"),
            host("foreign").class("foreign"),
            host("second").class("second"),
            host("neither"),
        ],
    );
    let served = |hosts: &[&str]| hosts.iter().for_each(|host| site.becomes(host, "/", "web"));
    let ignored = |hosts: &[&str]| hosts.iter().for_each(|host| site.becomes(host, "/", "404"));
    served(&["field", "annotation", "annotation-of-another"]);
    ignored(&["field-of-another", "foreign", "second", "neither"]);

    // One more class of ours, and one of another controller.
    let ours = |name: &str| ingress_class(name, "fairway.dev/ingress");
    site.apply(
        "classes",
        [
            ours("second"),
            ingress_class("foreign", "example.com/other"),
        ],
    );
    served(&["second", "field"]);
    ignored(&["foreign"]);

    // The annotation needs no class; the field does.
    site.delete("class");
    ignored(&["field", "annotation-of-another"]);
    served(&["annotation", "second"]);
    site.apply("class", [ours("fairway")]);
    served(&["field", "annotation-of-another"]);

    // A class that changes hands.
    site.apply(
        "classes",
        [
            ingress_class("second", "example.com/other"),
            ours("foreign"),
        ],
    );
    ignored(&["second"]);
    served(&["foreign", "field"]);
}

#[test]
fn flags_widen_what_is_served() {
    lab::test(|| {
        let flags = [
            "--watch-ingress-without-class",
            "--ingress-class=edge",
            "--controller=fairway.dev/ingress,k8s.io/ingress-nginx",
        ];
        let site = site(Feed::Manifests, &flags);
        site.apply("classes", [ingress_class("nginx", "k8s.io/ingress-nginx")]);
        site.apply(
            "ingresses",
            [
                host("neither"),
                host("adopted").class("nginx"),
                host("field").class("fairway"),
                host("annotation").annotation(ANNOTATION, "edge"),
                host("other-annotation").annotation(ANNOTATION, "fairway"),
            ],
        );
        for host in ["neither", "adopted", "field", "annotation"] {
            site.becomes(host, "/", "web");
        }
        assert_eq!(site.answers("other-annotation", "/"), "404");
    });
}
