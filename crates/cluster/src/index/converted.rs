//! What is kept of an object, before it is joined with others.

use fairway_model::{Node, ObjectName, Service, Trigger};
use ipnet::IpNet;

use super::Interner;
use crate::classes::Classes;
use crate::convert::ingress::{Ingress, ingress};
use crate::convert::node::{node, normal_name, service_cidrs};
use crate::convert::object_name;
use crate::convert::service::service;
use crate::convert::slice::{Slice, slice};
use crate::convert::trigger::trigger;
use crate::event::Named;
use crate::problem::{Problem, Report};
use crate::tls::Secret;
use crate::{Kind, Object, Options};

/// An object in the form in which it is kept: a tenth of its size or less.
#[derive(Debug)]
pub(crate) struct Converted {
    pub(super) kind: Kind,
    pub(super) name: ObjectName,
    pub(super) form: Form,
    /// What is wrong with it by itself; that of an Ingress is in its form,
    /// and Secrets are judged when and if somebody needs them.
    pub(super) problems: Vec<Problem>,
    /// What caused a slice to be as it is, and its Service.
    pub(super) trigger: Option<(ObjectName, Trigger)>,
}

#[derive(Debug)]
pub(super) enum Form {
    /// Without endpoints.
    Service(Box<Service>),
    /// With the Service that it belongs to; none if it is of no use.
    EndpointSlice(Option<(ObjectName, Slice)>),
    /// None if it is of no use.
    Ingress(Option<Box<Ingress>>),
    IngressClass {
        ours: bool,
    },
    /// The node that fairway runs on.
    OwnNode(Box<Node>),
    OtherNode,
    ServiceCidr(Vec<IpNet>),
    /// As it is: there are few.
    Secret(Box<Secret>),
}

impl Converted {
    /// None for an object without a name, which no API server serves.
    pub(crate) fn new(object: Object, options: &Options, names: &mut Interner) -> Option<Self> {
        let kind = object.kind();
        let mut name = object_name(object.metadata(), names)?;
        let trigger = match &object {
            Object::EndpointSlice(slice) => trigger(slice),
            _ => None,
        };
        let mut report = Report::new(kind.as_str(), name.clone());
        let form = match object {
            Object::Service(object) => {
                let service = service(&object, name.clone(), names, &mut report);
                Form::Service(Box::new(service))
            }
            Object::EndpointSlice(object) => {
                Form::EndpointSlice(slice(&object, &name, names, &mut report))
            }
            Object::Ingress(object) => Form::Ingress(ingress(&object, &name, names).map(Box::new)),
            Object::IngressClass(object) => Form::IngressClass {
                ours: Classes::is_ours(&object, options),
            },
            Object::Node(object) if normal_name(&name.name) == *options.node_name => {
                name.name = options.node_name.clone();
                Form::OwnNode(Box::new(node(&object, &options.node_name, &mut report)))
            }
            Object::Node(_) => Form::OtherNode,
            Object::ServiceCidr(object) => Form::ServiceCidr(service_cidrs(&object, &mut report)),
            Object::Secret(secret) => Form::Secret(secret),
        };
        Some(Self {
            kind,
            name,
            form,
            problems: report.finish(),
            trigger,
        })
    }
}

impl Named for Converted {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn name(&self) -> Option<ObjectName> {
        Some(self.name.clone())
    }
}
