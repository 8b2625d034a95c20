//! What Ingresses ask for hosts, whether or not they get it.

use fairway_model::{HostPattern, IngressClaim};

use super::{Entry, Ingresses};

impl Ingresses {
    /// What all Ingresses, ours or not, ask for these hosts, oldest first. Costs a look at every Ingress.
    pub(crate) fn claims_on(&self, hosts: &[HostPattern]) -> Vec<IngressClaim> {
        let entries = self.ingresses.iter();
        let mut claims: Vec<_> = entries
            .flat_map(|(name, Entry { ingress, .. })| {
                hosts.iter().filter_map(move |host| {
                    let part = ingress.host(host)?;
                    Some(IngressClaim {
                        name: name.clone(),
                        created: ingress.created,
                        class: self.classes.standing(&ingress.class),
                        host: host.clone(),
                        rules: part.rules.clone(),
                        default: ingress.default.clone(),
                    })
                })
            })
            .collect();
        claims.sort_by_key(|claim| (claim.created, claim.name.clone()));
        claims
    }
}
