use crate::{Facts, Feature, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let release = &facts.kernel.release;
    let mut findings = Vec::new();
    let missing = facts.kernel.features.iter().filter(|it| it.error.is_some());
    for Feature {
        name,
        for_what,
        required,
        error,
    } in missing
    {
        let found = format!("{name}: {}", error.as_deref().unwrap_or_default());
        let why = format!("without it there is no {for_what}");
        findings.push(match required {
            true => Finding::fault(
                "nf_tables",
                found,
                why,
                "run as root with CAP_NET_ADMIN; else load the module nf_tables, or use a kernel with CONFIG_NF_TABLES, CONFIG_NFT_NAT, CONFIG_NFT_NUMGEN and CONFIG_NFT_FIB",
            ),
            false => Finding::warning("nf_tables", found, why, "leave it, unless you need that"),
        });
    }
    if findings.is_empty() && !facts.kernel.features.is_empty() {
        let names: Vec<_> = facts.kernel.features.iter().map(|it| it.name).collect();
        let found = format!("kernel {release} does {}", names.join(", "));
        findings.push(Finding::ok("nf_tables", found));
    }
    findings
}

/// Major and minor number of a release.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
