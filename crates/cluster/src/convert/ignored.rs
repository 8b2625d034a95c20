//! Annotations that ask for something and get nothing: of a controller that is being replaced, or misspelt.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::balance::BALANCE;
use super::weights::WEIGHTS;
use crate::problem::{OneLine, Reason, Report};

/// Most names in a message; an Ingress of ingress-nginx has five or so.
const NAMED: usize = 10;

/// Those whose annotations configure an ingress controller. Others write what is for certificates, names or releases.
const CONTROLLERS: [&str; 7] = [
    "fairway.dev",
    "haproxy.org",
    "konghq.com",
    "nginx.com",
    "nginx.org",
    "projectcontour.io",
    "traefik.io",
];

/// Of an Ingress, for whichever controller it was written.
pub(super) fn of_ingress(metadata: &ObjectMeta, report: &mut Report) {
    let ignored = |name: &str| {
        name.split_once('/').is_some_and(|(domain, _)| {
            // nginx.ingress.kubernetes.io, alb.ingress.kubernetes.io, haproxy-ingress.github.io and their like.
            domain.ends_with("ingress.kubernetes.io")
                || domain == "haproxy-ingress.github.io"
                || CONTROLLERS.iter().any(|known| is_of(domain, known))
        })
    };
    tell(
        metadata,
        ignored,
        "the Ingress is served without; policies in fairway's own file can say most of it (docs/route-policies.md)",
        report,
    );
}

/// Of a Service: of ours, those that there are not.
pub(super) fn of_service(metadata: &ObjectMeta, report: &mut Report) {
    let ignored =
        |name: &str| name.starts_with("fairway.dev/") && ![BALANCE, WEIGHTS].contains(&name);
    tell(
        metadata,
        ignored,
        "there are none of that name (docs/service-annotations.md)",
        report,
    );
}

fn is_of(domain: &str, known: &str) -> bool {
    let rest = domain.strip_suffix(known);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn tell(
    metadata: &ObjectMeta,
    ignored: impl Fn(&str) -> bool,
    consequence: &str,
    report: &mut Report,
) {
    let names = metadata.annotations.iter().flat_map(|it| it.keys());
    let names: Vec<&str> = names.map(String::as_str).filter(|it| ignored(it)).collect();
    if names.is_empty() {
        return;
    }
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names = names[..names.len().min(NAMED)].join(", ");
    report.add(
        Reason::AnnotationIgnored,
        "metadata.annotations",
        format_args!("{}{more}: not read; {consequence}", OneLine(&names)),
    );
}

#[cfg(test)]
mod tests {
    use fairway_model::ObjectName;

    use super::*;

    fn told(of: fn(&ObjectMeta, &mut Report), names: &[&str]) -> Vec<String> {
        let annotations = names
            .iter()
            .map(|name| ((*name).to_owned(), "secret".to_owned()));
        let metadata = ObjectMeta {
            annotations: Some(annotations.collect()),
            ..ObjectMeta::default()
        };
        let mut report = Report::new("Ingress", ObjectName::new("shop", "web"));
        of(&metadata, &mut report);
        let problems = report.finish().into_iter();
        problems.map(|it| it.message).collect()
    }

    #[test]
    fn what_is_for_an_ingress_controller_is_told_by_name() {
        let names = [
            "nginx.ingress.kubernetes.io/rewrite-target",
            "nginx.org/server-snippets",
            "traefik.ingress.kubernetes.io/router.tls",
            "ingress.kubernetes.io/ssl-redirect",
        ];
        let [message] = &told(of_ingress, &names)[..] else {
            panic!()
        };
        assert!(names.iter().all(|name| message.contains(name)), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }

    #[test]
    fn what_is_for_others_is_none_of_our_business() {
        let names = [
            "cert-manager.io/cluster-issuer",
            "kubernetes.io/ingress.class",
            "external-dns.alpha.kubernetes.io/hostname",
            "not-nginx.org.example.com/x",
            "mynginx.org/x",
            "plain",
        ];
        assert_eq!(told(of_ingress, &names), [""; 0]);
        assert_eq!(told(of_service, &[BALANCE, WEIGHTS, names[0]]), [""; 0]);
        assert_eq!(told(of_service, &["fairway.dev/balanse"]).len(), 1);
    }

    #[test]
    fn any_number_of_them_makes_one_line() {
        let names: Vec<String> = (0..1000).map(|it| format!("nginx.org/{it:0300}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let [message] = &told(of_ingress, &names)[..] else {
            panic!()
        };
        assert!(message.contains(" and 990 more"), "{message}");
        assert!(message.len() < 600, "{message}");
    }
}
