//! Certificates in all the forms in which people store them.

use fairway_testkit::certificates::{Issued, KeyKind};
use fairway_testkit::objects;

use super::{Secure, client};
use crate::support::{Feed, fed_both_ways};

fed_both_ways!(every_form_of_a_key_is_served);

fn every_form_of_a_key_is_served(feed: Feed) {
    let site = Secure::start(feed, |_| Vec::new());
    let issue = |kind| {
        let first = site.root.intermediate("first").unwrap();
        let second = first.intermediate("second").unwrap();
        second.server_with(&["web.example"], kind, |_| {}).unwrap()
    };
    let windows = |text: &str| text.replace('\n', "\r\n");
    let mut forms: Vec<(Issued, String, String)> = Vec::new();
    for kind in KeyKind::ALL {
        let issued = issue(kind);
        let keys = [Some(issued.key.clone()), issued.traditional_key()];
        for key in keys.into_iter().flatten() {
            forms.push((issued.clone(), issued.chain.clone(), key));
        }
    }
    let issued = issue(KeyKind::P256);
    let chain = format!("subject=CN = web.example\n\n{}", issued.chain);
    let key = windows(&format!("Bag Attributes\n{}", issued.key));
    forms.push((issued, windows(&chain), key));

    for (issued, chain, key) in forms {
        let secret = objects::secret("web", "kubernetes.io/tls")
            .field("tls.crt", &chain)
            .field("tls.key", &key);
        site.site.apply("form", [secret]);
        site.shows("web.example", &issued);
        let mut open = site.open(Some("web.example"), &client::config());
        assert_eq!(open.chain_length(), 3, "with both intermediates");
        assert_eq!(open.get("web.example", "/").unwrap(), 200);
    }
}
