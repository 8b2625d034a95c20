//! Which Ingresses are ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::{ClassStanding, ObjectName};
use k8s_openapi::api::networking::v1::IngressClass;

use crate::Options;
use crate::convert::ingress::Class;
use crate::problem::{Problem, Quoted, Reason, Report};

/// The IngressClasses, and what makes one of them ours.
#[derive(Debug)]
pub(crate) struct Classes {
    annotation: String,
    controllers: Vec<String>,
    without_class: bool,
    /// All IngressClasses and whether they are ours.
    known: BTreeMap<Arc<str>, bool>,
}

impl Classes {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            annotation: options.ingress_class.clone(),
            controllers: options.controllers.clone(),
            without_class: options.watch_ingress_without_class,
            known: BTreeMap::new(),
        }
    }

    /// Whether an IngressClass is ours.
    pub(crate) fn is_ours(object: &IngressClass, options: &Options) -> bool {
        let spec = object.spec.as_ref();
        let controller = spec.and_then(|spec| spec.controller.as_ref());
        controller.is_some_and(|controller| options.controllers.contains(controller))
    }

    /// Returns whether that may make a difference to any Ingress.
    pub(crate) fn apply(&mut self, name: &ObjectName, ours: bool) -> bool {
        self.known.insert(name.name.clone(), ours) != Some(ours)
    }

    /// Returns whether that may make a difference to any Ingress.
    pub(crate) fn delete(&mut self, name: &ObjectName) -> bool {
        self.known.remove(&name.name).is_some()
    }

    pub(crate) fn names(&self) -> Vec<ObjectName> {
        let names = self.known.keys();
        names
            .map(|name| ObjectName::new("", name.clone()))
            .collect()
    }

    /// The order is nginx's: field, annotation, neither.
    pub(crate) fn accepts(&self, class: &Class) -> bool {
        match class {
            Class::Field(class) => self.known.get(class).copied().unwrap_or_default(),
            Class::Annotation(class) => **class == *self.annotation,
            Class::None => self.without_class,
        }
    }

    /// The same with the reason.
    pub(crate) fn standing(&self, class: &Class) -> ClassStanding {
        match class {
            _ if self.accepts(class) => ClassStanding::Ours,
            Class::Field(class) if !self.known.contains_key(class) => {
                ClassStanding::Missing(class.clone())
            }
            Class::Field(class) | Class::Annotation(class) => ClassStanding::Other(class.clone()),
            Class::None => ClassStanding::None,
        }
    }

    /// An Ingress that plainly means us by a class that nobody made. Other missing classes are not
    /// our business: another controller may come with them.
    pub(crate) fn missing(&self, name: &ObjectName, class: &Class) -> Vec<Problem> {
        let mut report = Report::new("Ingress", name.clone());
        if let Class::Field(class) = class
            && **class == *self.annotation
            && !self.known.contains_key(class)
        {
            let controller = self.controllers.first().map_or("", String::as_str);
            report.add(
                Reason::ClassNotFound,
                "spec.ingressClassName",
                format_args!(
                    "there is no IngressClass {}, so the Ingress is not served; create it with controller {controller}",
                    Quoted(class)
                ),
            );
        }
        report.finish()
    }
}
