//! Why a request or a packet goes where it goes, or nowhere.
//!
//! ```text
//! Question (URL, or address and port) --+
//! World (snapshot, routes, claims) -----+--> explain --> Explanation --> text, JSON
//! Kernel (elements read back) ----------+
//! ```
//!
//! Pure: who gathers the world and prints the explanation is elsewhere. What decides is the same code that
//! routes and programs: the router's trace of its index, and the planned rules, walked.

mod endpoints;
mod explanation;
mod filters;
mod http;
mod near;
mod packet;
mod question;
mod rules;
mod text;
mod tls;
mod world;

pub use endpoints::endpoints_of_port;
pub use explanation::{
    Answer, Backend, Beaten, Candidate, Certificate, Endpoint, Explanation, Frontend, Host, Http,
    Kernel, KernelState, Notice, Outcome, Packet, Refused, Rule, Standing, Tls, Way,
};
pub use question::{Question, QuestionError, Target, Url};
pub use text::render;
pub use world::{CertificateFacts, HostTls, KernelFacts, Routing, World};

/// Explains what becomes of what is asked about.
pub fn explain(world: &World, question: &Question) -> Explanation {
    let mut explanation = match &question.target {
        Target::Url(url) => http::explain(world, question, url),
        Target::Address(target) => packet::explain(world, question, *target),
    };
    let mut subjects = explanation.subjects();
    if explanation
        .http
        .as_ref()
        .is_some_and(|http| http.rule.is_none())
    {
        // A rule that is missing may have been left out for what is wrong with it.
        let claims = world.claims.iter();
        subjects.extend(claims.map(|claim| (format!("Ingress {}", claim.name), String::new())));
    }
    let is_met = |notice: &&Notice| {
        let mut subjects = subjects.iter();
        subjects.any(|(object, field)| {
            let is_near = notice.field.is_empty() || notice.field.starts_with(field.as_str());
            *object == notice.object && is_near
        })
    };
    explanation.problems = world.problems.iter().filter(is_met).cloned().collect();
    explanation
}
