//! The way of a request: host, TLS, rule, Service, endpoints.

mod claims;
mod upstream;

use std::borrow::Cow;

use fairway_model::HostPattern;
use fairway_plan::Sender;
use fairway_router::{Fields, Host, Index, Path, Request, Route, Target};

pub(crate) use upstream::name_of_port;

use crate::question::{Question, Url};
use crate::tls::{self, HostView};
use crate::world::Routing;
use crate::{Answer, Explanation, Http, Outcome, World, filters, near, packet, rules};

/// Where certificate authorities look for proof that a name is ours: never redirected (RFC 8555, 8.3).
const ACME: &str = "/.well-known/acme-challenge/";

pub(crate) fn explain(world: &World, question: &Question, url: &Url) -> Explanation {
    // A Service's own address leads to its endpoints, and never to the router.
    if let Some(address) = url.address() {
        let explanation = packet::explain(world, question, address);
        if explanation.answer.outcome != Outcome::NotOurs {
            return explanation;
        }
    }
    let mut explanation = Explanation {
        question: question.text.clone(),
        node: world.snapshot.node.name.to_string(),
        ..Explanation::default()
    };
    let Some(routing) = &world.ingress else {
        explanation.answer.summary = "this agent routes no requests (--ingress=false)".to_owned();
        return explanation;
    };
    let Ok(host) = Host::parse(url.authority.as_bytes()) else {
        explanation.answer = answered(400, "the host is no host: 400 before anything is looked at");
        return explanation;
    };
    let Ok(path) = Path::parse(&url.path) else {
        let why = "the path has more than one reading or none: 400 before anything is looked at";
        explanation.answer = answered(400, why);
        return explanation;
    };
    let asked = Asked {
        world,
        routing,
        question,
        url,
        host: &host,
        path: &path,
    };
    let (answer, http) = asked.explain();
    explanation.answer = answer;
    explanation.http = Some(http);
    explanation
}

fn answered(status: u16, summary: impl Into<String>) -> Answer {
    Answer {
        outcome: Outcome::Answered,
        status: Some(status),
        summary: summary.into(),
        advice: Vec::new(),
    }
}

/// A request that can be read.
struct Asked<'a> {
    world: &'a World,
    routing: &'a Routing,
    question: &'a Question,
    url: &'a Url,
    host: &'a Host,
    path: &'a Path<'a>,
}

impl Asked<'_> {
    fn explain(&self) -> (Answer, Http) {
        let index: &Index = &self.routing.index;
        let request = Request {
            host: self.host,
            path: self.path,
            method: &self.question.method,
        };
        let tls = tls::of_host(self.world, self.routing, self.host.as_str());
        let entries = index.entries_for(self.host);
        let trace = index.trace(request, self);
        let mut http = Http {
            host: self.host_entry(&entries),
            tls: tls.told.clone(),
            ..Http::default()
        };
        let considered = trace.as_ref().map(|trace| &trace.considered[..]);
        http.refused = claims::refused(self.world, considered.unwrap_or_default());
        let route = trace.as_ref().and_then(|trace| trace.chosen());
        if let Some(trace) = &trace {
            http.rule = rules::chosen(trace);
            http.beaten = rules::beaten(&trace.considered);
            if route.is_none() {
                let rules = trace.routes.rules.iter();
                http.host.paths = rules.map(|rule| rules::path(&rule.matches.path)).collect();
            }
        }
        if let Some(route) = route {
            http.filters = filters::of_route(route, self.path);
        }
        if let Some(answer) = self.before_routing(&tls, route) {
            if tls.passthrough {
                http.backends = self.passthrough_backends();
            }
            return (answer, http);
        }
        let answer = match route {
            None => self.no_route(&http),
            Some(route) => self.route(route, &mut http),
        };
        (answer, http)
    }

    fn host_entry(&self, entries: &[HostPattern]) -> crate::Host {
        let name = self.host.as_str();
        let known = self.world.snapshot.routes.hosts.keys();
        let known = known.filter_map(|host| match host {
            HostPattern::Exact(host) => Some(&**host),
            _ => None,
        });
        crate::Host {
            name: name.map(str::to_owned),
            entry: entries.first().map(ToString::to_string),
            covered: entries.iter().skip(1).map(ToString::to_string).collect(),
            near: match (name, entries.first()) {
                (Some(name), None | Some(HostPattern::Any)) => near::near(name, known),
                _ => Vec::new(),
            },
            paths: Vec::new(),
        }
    }

    /// What TLS decides before, or instead of, the route: in the order in which the router does.
    fn before_routing(&self, tls: &HostView, route: Option<&Route>) -> Option<Answer> {
        let token = self.url.path.strip_prefix(ACME).unwrap_or_default();
        let is_challenge = !token.is_empty() && !token.contains('/');
        if self.url.https {
            if tls.refuses {
                let summary = "the handshake is refused: it is not known whose certificates clients must have";
                return Some(Answer {
                    outcome: Outcome::Refused,
                    summary: summary.to_owned(),
                    ..Answer::default()
                });
            }
            return tls.passthrough.then(|| self.passes_through());
        }
        let by_route = route.and_then(|route| route.requests.https);
        let redirects = tls.demands || by_route.unwrap_or(tls.redirects);
        (redirects && !is_challenge).then(|| Answer {
            outcome: Outcome::Redirected,
            status: Some(308),
            summary: format!("sent to {}", self.https_url()),
            advice: vec![format!("ask about {}", self.https_url())],
        })
    }

    fn https_url(&self) -> String {
        let name = self.host.as_str().unwrap_or(&self.url.authority);
        let query = self.url.query.as_deref();
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("https://{name}{}{query}", self.url.path)
    }

    fn no_route(&self, http: &Http) -> Answer {
        let mut answer = match (&http.host.entry, &http.host.name) {
            (Some(entry), _) => answered(404, format!("no rule of {entry} matches the path: 404")),
            (None, Some(name)) => answered(404, format!("no Ingress serves host {name}: 404")),
            (None, None) => answered(
                404,
                "no Ingress serves every host, which a request for an address takes: 404",
            ),
        };
        let near = http.host.near.join(", ");
        if !near.is_empty() {
            answer.advice.push(format!("did you mean {near}?"));
        }
        if !http.host.covered.is_empty() && http.host.entry.is_some() {
            let covered = http.host.covered.join(", ");
            answer.advice.push(format!(
                "{covered} is not asked: who declares a host decides about all of it"
            ));
        }
        answer.advice.extend(http.refused.iter().map(|refused| {
            let crate::Refused {
                object, wants, why, ..
            } = refused;
            format!("{object} asks for {wants}: {why}")
        }));
        answer
    }

    fn route(&self, route: &Route, http: &mut Http) -> Answer {
        match &route.target {
            Target::Respond(status) => {
                answered(*status, format!("the rule answers {status} by itself"))
            }
            Target::Redirect(redirect) => {
                let path = match route
                    .rewrite
                    .as_ref()
                    .map(|rewrite| rewrite.apply(self.path))
                {
                    Some(Ok(Some(path))) => path,
                    _ => self.path.forwarded.to_string(),
                };
                let place = filters::redirect(redirect, &self.url.authority, self.url.https, &path);
                Answer {
                    outcome: Outcome::Redirected,
                    status: Some(redirect.status),
                    summary: format!("sent to {place}"),
                    advice: Vec::new(),
                }
            }
            Target::Forward(backends) => {
                http.backends = upstream::backends(self.world, backends, &route.policy);
                upstream::answer(&http.backends)
            }
        }
    }

    fn passes_through(&self) -> Answer {
        let backends = self.passthrough_backends();
        let mut answer = upstream::answer(&backends);
        if answer.outcome == Outcome::Forwarded {
            answer.summary.push_str(", as it is: TLS is passed through");
        }
        answer
    }

    /// Connections that are passed through go where the path `/` goes.
    fn passthrough_backends(&self) -> Vec<crate::Backend> {
        let Ok(path) = Path::parse("/") else {
            return Vec::new();
        };
        let request = Request {
            host: self.host,
            path: &path,
            method: "",
        };
        match self.routing.index.find(request) {
            Some(Route {
                target: Target::Forward(backends),
                policy,
                ..
            }) => upstream::backends(self.world, backends, policy),
            _ => Vec::new(),
        }
    }
}

impl Fields for Asked<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let headers = self.question.headers.iter();
        let values: Vec<_> = headers
            .filter(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| Cow::Owned(values.join(", ").into_bytes()))
    }

    fn query_parameter(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let query = self.url.query.as_deref()?;
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let (_, value) = parameters.find(|(key, _)| key == name)?;
        Some(Cow::Owned(value.into_owned().into_bytes()))
    }
}

/// How a kind of sender is called.
pub(crate) fn sender(sender: Sender) -> &'static str {
    match sender {
        Sender::Outside => "clients outside",
        Sender::Pod => "pods of this node",
        Sender::Node => "this node itself",
    }
}
