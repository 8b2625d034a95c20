//! Who the API server says wrote a status. It outlives the agent that wrote it.

use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use crate::Options;

/// What all our managers begin with.
const PREFIX: &str = "fairway-ingress-status";

/// What the API takes, in bytes.
const LONGEST: usize = 128;

/// The field manager of one router. Those of other classes have others: none takes back what another
/// has written.
pub(super) fn of(options: &Options) -> String {
    let mut manager = format!("{PREFIX}-{}", options.ingress_class);
    manager.truncate(manager.floor_char_boundary(LONGEST));
    manager
}

/// Whether the status, or a part of it, was written by this manager and by nobody since.
pub(super) fn wrote(manager: &str, ingress: &Ingress) -> bool {
    let entries = ingress.metadata.managed_fields.iter().flatten();
    entries
        .filter(|entry| is_ours(entry))
        .any(|entry| entry.manager.as_deref() == Some(manager))
}

/// Keeps who wrote the status, if it was one of us, out of a list of all fields and who wrote them.
pub(crate) fn keep_ours(
    entries: Option<Vec<ManagedFieldsEntry>>,
) -> Option<Vec<ManagedFieldsEntry>> {
    let ours = entries.into_iter().flatten().filter(is_ours);
    let ours: Vec<_> = ours
        .map(|entry| ManagedFieldsEntry {
            manager: entry.manager,
            subresource: entry.subresource,
            ..ManagedFieldsEntry::default()
        })
        .collect();
    (!ours.is_empty()).then_some(ours)
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    let manager = entry.manager.as_deref().unwrap_or_default();
    manager.starts_with(PREFIX) && entry.subresource.as_deref() == Some("status")
}
