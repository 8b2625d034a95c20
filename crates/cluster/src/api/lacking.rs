use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, ServiceCIDR};
use kube::Client;
use kube::api::{ListParams, Request};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::kinds::{self, Watched};
use super::notice::Resource;
use crate::{Kind, Options};

/// A kind that an agent would not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LackingKind {
    /// Which.
    pub kind: Kind,
    /// Why not.
    pub lack: Lack,
    /// In RBAC's words, empty for the core group.
    pub group: String,
    /// In RBAC's words, plural and lower-case.
    pub plural: String,
}

/// Why an agent would not get a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// RBAC does not let us list it.
    Forbidden,
    /// The API server does not have it, being too old.
    Absent,
    /// There is no Node of our name.
    NoSuchNode,
}

/// Asks the API server for one object of each kind that an agent with these options needs, and returns
/// those that it would not get. What else is wrong with the server is for others to tell.
pub async fn lacking_kinds(client: &Client, options: &Options) -> Vec<LackingKind> {
    let mut lacking = Vec::new();
    for kind in Kind::LISTED {
        lacking.extend(match kind {
            Kind::Service => ask::<Service>(client, options).await,
            Kind::EndpointSlice => ask::<EndpointSlice>(client, options).await,
            Kind::Node => ask::<Node>(client, options).await,
            Kind::ServiceCidr => ask::<ServiceCIDR>(client, options).await,
            Kind::Ingress => ask::<Ingress>(client, options).await,
            Kind::IngressClass => ask::<IngressClass>(client, options).await,
            Kind::Secret => None, // not one of those that are listed
        });
    }
    lacking
}

async fn ask<K: Watched>(client: &Client, options: &Options) -> Option<LackingKind> {
    let selection = kinds::selection(K::KIND, options)?;
    let parameters = ListParams {
        label_selector: selection.label_selector,
        field_selector: selection.field_selector,
        limit: Some(1),
        ..ListParams::default()
    };
    let lack = list_one(client, K::KIND, K::url_path(&(), None), &parameters).await?;
    let Resource { group, plural } = Resource::of::<K>();
    Some(LackingKind {
        kind: K::KIND,
        lack,
        group,
        plural,
    })
}

/// As much of a list as matters, whatever it is of.
#[derive(Deserialize)]
struct List {
    items: Vec<IgnoredAny>,
}

async fn list_one(client: &Client, kind: Kind, url: String, list: &ListParams) -> Option<Lack> {
    let request = Request::new(url).list(list).ok()?;
    match client.request::<List>(request).await {
        Err(kube::Error::Api(status)) if status.code == 403 => Some(Lack::Forbidden),
        Err(kube::Error::Api(status)) if status.code == 404 => Some(Lack::Absent),
        Ok(List { items }) if kind == Kind::Node && items.is_empty() => Some(Lack::NoSuchNode),
        _ => None,
    }
}
