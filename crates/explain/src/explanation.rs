//! The answer as data. Text is made from it, JSON is it: fields are added, never renamed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Why a request or a packet goes where it goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What was asked.
    pub question: String,
    /// The node that it is about.
    pub node: String,
    /// In short.
    pub answer: Answer,
    /// The way of a packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet: Option<Packet>,
    /// The way of a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// What is wrong with the objects that were met.
    pub problems: Vec<Notice>,
}

/// In short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// What becomes of it.
    pub outcome: Outcome,
    /// The status of an answer that is the router's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A sentence.
    pub summary: String,
    /// What to look at next.
    pub advice: Vec<String>,
}

/// What becomes of a request or a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// An endpoint gets it.
    Forwarded,
    /// The router sends the client elsewhere.
    Redirected,
    /// The router answers by itself.
    Answered,
    /// The sender is told that there is nobody.
    Refused,
    /// Nobody hears of it.
    Dropped,
    /// It is not fairway's to deal with.
    #[default]
    NotOurs,
}

/// The way of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// Which entry its host uses.
    pub host: Host,
    /// TLS of the host.
    pub tls: Tls,
    /// The rule that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// Rules that match as well, or nearly, and do not answer.
    pub beaten: Vec<Beaten>,
    /// What Ingresses ask for the host and do not get.
    pub refused: Vec<Refused>,
    /// What is done to the request and the response, a sentence each.
    pub filters: Vec<String>,
    /// Who gets the request.
    pub backends: Vec<Backend>,
}

/// Which entry a host uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// The host that was asked for; absent where it is an address.
    pub name: Option<String>,
    /// The entry that decides; `*` for every host.
    pub entry: Option<String>,
    /// Less specific entries, which are not asked.
    pub covered: Vec<String>,
    /// Hosts that have nearly the same name, where there is no entry.
    pub near: Vec<String>,
    /// The paths of the entry, where none matches.
    pub paths: Vec<String>,
}

/// TLS of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// A sentence about who does TLS, and how.
    pub handling: String,
    /// What clients are shown that ask for the name; absent where it is not the router's, or self-signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
}

/// A certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The Secret, as `namespace/name`.
    pub secret: String,
    /// The names it is for.
    pub names: Vec<String>,
    /// RFC 3339.
    pub not_before: String,
    /// RFC 3339.
    pub not_after: String,
    /// Whether it is for the host that was asked for.
    pub covers: bool,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The object that declares it, for example `Ingress shop/web`.
    pub object: String,
    /// The field.
    pub field: String,
    /// How the path is matched, for example `Prefix /cart`.
    pub path: String,
    /// What else it asks of a request.
    pub conditions: Vec<String>,
}

/// A rule that does not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beaten {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// Why another one does.
    pub why: String,
}

/// Something that an Ingress asks for and does not get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The Ingress.
    pub object: String,
    /// The field.
    pub field: String,
    /// Host and path.
    pub wants: String,
    /// Why it does not.
    pub why: String,
}

/// A Service that gets a share of the requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// The Service, as `namespace/name`.
    pub service: String,
    /// Its port, as the rule names it.
    pub port: String,
    /// In percent of the rule's requests.
    pub share: f64,
    /// How it is spoken to, and which endpoint is asked.
    pub manner: String,
    /// Why it cannot answer; absent where it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// All endpoints of the port.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint, and whether it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Address and port.
    pub address: String,
    /// Its node, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Its zone, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Whether new connections get there.
    pub used: bool,
    /// In percent of them; absent where it depends on more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Why it is used or not.
    pub standing: Standing,
    /// The same as a sentence.
    pub why: String,
}

/// Why an endpoint is used or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// Ready, and used.
    Ready,
    /// Terminates and still serves; used because none is ready.
    Draining,
    /// Ready; asked when those that are meant for this node do not answer.
    InReserve,
    /// Its address is of the other family.
    OtherFamily,
    /// Not ready.
    NotReady,
    /// Terminates; others are ready.
    Terminating,
    /// Ready, on another node than the policy asks for.
    OtherNode,
    /// Ready; topology hints mean it for other nodes or zones.
    HintedElsewhere,
    /// Ready; its weight is 0.
    NoWeight,
}

/// The way of a packet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Packet {
    /// The destination.
    pub address: String,
    /// Lower-case.
    pub protocol: String,
    /// The Service that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontend: Option<Frontend>,
    /// Other Services that ask for it, and do not get it.
    pub rivals: Vec<Candidate>,
    /// What becomes of packets, by sender.
    pub ways: Vec<Way>,
    /// All endpoints of the Service port.
    pub endpoints: Vec<Endpoint>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// What the kernel holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
}

/// What of a Service clients connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Frontend {
    /// The Service, as `namespace/name`.
    pub service: String,
    /// What kind of address it is, for example `ClusterIP`.
    pub kind: String,
    /// The Service's port, with its name.
    pub port: String,
    /// `Cluster` or `Local`: the traffic policy for this kind of address.
    pub policy: String,
}

/// A Service that asks for the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The Service, as `namespace/name`.
    pub service: String,
    /// The field that asks.
    pub field: String,
    /// Why it does not get it.
    pub why: String,
}

/// What becomes of packets of some senders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Way {
    /// Who sends them.
    pub from: Vec<String>,
    /// What becomes of them.
    pub outcome: Outcome,
    /// A sentence.
    pub summary: String,
    /// Endpoints that they may get to.
    pub endpoints: Vec<String>,
    /// Their source becomes this node.
    pub masqueraded: bool,
    /// The chains that they come through.
    pub chains: Vec<String>,
}

/// What the kernel holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kernel {
    /// In short.
    pub state: KernelState,
    /// A sentence.
    pub summary: String,
    /// Every element that it holds, as `set: key -> value`.
    pub elements: Vec<String>,
    /// Elements that should be there.
    pub missing: Vec<String>,
    /// Elements that should not be there.
    pub unexpected: Vec<String>,
}

/// Whether the kernel does what is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KernelState {
    /// It does.
    Agrees,
    /// It holds something else.
    Differs,
    /// Our table is not there.
    NoTable,
    /// It cannot be read.
    Unreadable,
}

/// Something that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// The object, for example `Ingress shop/web`.
    pub object: String,
    /// The field; empty where it is about the whole object.
    pub field: String,
    /// What sort of problem it is, as in Events.
    pub reason: String,
    /// What is wrong and what follows.
    pub message: String,
}

impl Explanation {
    /// Every object that it names, and which of its fields it is about; empty for all.
    pub(crate) fn subjects(&self) -> BTreeSet<(String, String)> {
        let whole = |object: String| (object, String::new());
        let service = |name: &String| whole(format!("Service {name}"));
        let mut subjects = BTreeSet::new();
        if let Some(http) = &self.http {
            let rule = |rule: &Rule| (rule.object.clone(), rule.field.clone());
            subjects.extend(http.rule.iter().map(rule));
            let refused = |it: &Refused| (it.object.clone(), it.field.clone());
            subjects.extend(http.refused.iter().map(refused));
            subjects.extend(http.backends.iter().map(|it| service(&it.service)));
            let secret = |it: &Certificate| whole(format!("Secret {}", it.secret));
            subjects.extend(http.tls.certificate.iter().map(secret));
        }
        if let Some(packet) = &self.packet {
            subjects.extend(packet.frontend.iter().map(|it| service(&it.service)));
            subjects.extend(packet.rivals.iter().map(|it| service(&it.service)));
        }
        subjects
    }
}
