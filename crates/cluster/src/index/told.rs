//! Who is told what is wrong with a Secret: those who look at an Ingress. A Secret that does not exist
//! cannot be looked at, and `kubectl describe` shows no Events of one that does.

use std::collections::BTreeSet;

use fairway_model::{ObjectName, ObjectRef};

use super::Index;
use super::problems::Aspect;
use crate::{Accepted, Kind, News, Problem};

impl Index {
    /// These news, those of Secrets at the Ingresses that name them, and what Ingresses that came have to
    /// know of Secrets. What concerns no Ingress, as the default certificate may, stays with the Secret.
    pub(super) fn told_to_owners(&self, news: Vec<News>, accepted: &[Accepted]) -> Vec<News> {
        let mut told = Vec::with_capacity(news.len());
        let mut pairs = BTreeSet::new();
        for news in news {
            let News::Problem(problem) = &news else {
                told.push(news);
                continue;
            };
            let secret = &problem.object.name;
            let owners = match problem.object.kind == Kind::Secret.as_str() {
                true => {
                    let hosts: Vec<_> = self.secrets.hosts_with(secret).collect();
                    self.ingresses.with_secret(secret, &hosts)
                }
                false => BTreeSet::new(),
            };
            if owners.is_empty() {
                told.push(news);
                continue;
            }
            for ingress in owners {
                told.push(at(&ingress, problem));
                pairs.insert((ingress, secret.clone()));
            }
        }
        for Accepted { name, .. } in accepted {
            for secret in self.ingresses.secrets_of(name) {
                if !pairs.contains(&(name.clone(), secret.clone())) {
                    let standing = self
                        .problems
                        .of(&Aspect::Object(Kind::Secret, secret.clone()));
                    told.extend(standing.iter().map(|problem| at(name, problem)));
                }
            }
        }
        told
    }
}

/// A problem of a Secret at an Ingress.
fn at(ingress: &ObjectName, problem: &Problem) -> News {
    let object = ObjectRef {
        kind: Kind::Ingress.as_str(),
        name: ingress.clone(),
    };
    News::Problem(Problem {
        object,
        field: "spec.tls".to_owned(),
        message: problem.to_string(),
        reason: problem.reason,
    })
}
