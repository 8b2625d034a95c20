use crate::{Facts, Feature, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let release = &facts.kernel.release;
    let features = &facts.kernel.features;
    let missing = features
        .iter()
        .filter(|it| it.error.is_some() && it.required);
    let mut findings: Vec<_> = missing.map(fault).collect();
    let faults = !findings.is_empty();
    if let Some(what) = &facts.kernel.untried {
        findings.push(Finding::warning(
            "nf_tables",
            format!("{what} could not be tried here"),
            "what the kernel lacks shows only when it is needed",
            "run doctor as root on the node itself: the agent's container makes no namespaces, and needs none",
        ));
    }
    if !faults && !features.is_empty() {
        let names = |works: bool| {
            let of = features
                .iter()
                .filter(move |it| it.error.is_none() == works);
            of.map(|it| it.name).collect::<Vec<_>>().join(", ")
        };
        let mut found = format!("kernel {release} does {}", names(true));
        let without = names(false);
        if !without.is_empty() {
            found.push_str(&format!("; it has no {without}, which nothing asks for"));
        }
        if let Some(why) = &facts.kernel.rehearsed {
            found.push_str(&format!(
                "; as checked by the kernel, without a table being made ({why})"
            ));
        }
        findings.push(Finding::ok("nf_tables", found));
    }
    findings
}

fn fault(feature: &Feature) -> Finding {
    let Feature {
        name,
        for_what,
        error,
        ..
    } = feature;
    Finding::fault(
        "nf_tables",
        format!("{name}: {}", error.as_deref().unwrap_or_default()),
        format!("without it there is no {for_what}"),
        "run as root with CAP_NET_ADMIN; \
         else load the module nf_tables, or use a kernel with CONFIG_NF_TABLES, CONFIG_NFT_NAT, \
         CONFIG_NFT_NUMGEN, CONFIG_NFT_HASH and CONFIG_NFT_FIB",
    )
}

/// Major and minor number of a release.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
