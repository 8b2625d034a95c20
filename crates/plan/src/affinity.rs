//! Which of the clients that packets stored are still sent to an endpoint that they may use.

use std::collections::{BTreeSet, HashSet};

use crate::{Bytes, Change, Element, Family, SetName, Transaction, layout};

/// The maps that may hold elements which lead to what these deletions take away.
pub(crate) fn outdated_by(deleted: &[Element]) -> BTreeSet<SetName> {
    let maps = deleted
        .iter()
        .filter_map(|element| layout::companion(element.set));
    maps.collect()
}

/// Removes the elements of maps that packets fill which `may_stay` has no endpoint for. It is asked
/// for elements of the sets that go with the maps.
pub(crate) fn forget<'a>(
    family: Family,
    clients: impl Iterator<Item = &'a Element>,
    may_stay: impl Fn(SetName, &Bytes) -> bool,
) -> Transaction {
    let mut transaction = Transaction::new(family);
    let outdated = clients.filter(|client| {
        let mut reasons = reasons(family, client).into_iter();
        !reasons.any(|(set, key)| may_stay(set, &key))
    });
    let delete = outdated.cloned().map(Change::Delete);
    transaction.make.extend(delete);
    transaction
}

/// The elements any of which lets the client stay with the endpoint: an address, or a node port.
fn reasons(family: Family, client: &Element) -> Vec<(SetName, Bytes)> {
    let sets = match client.set {
        SetName::Clients(timeout) => [
            SetName::AffinityEndpoints(timeout),
            SetName::AffinityNodePortEndpoints(timeout),
        ],
        SetName::LocalClients(timeout) => [
            SetName::LocalAffinityEndpoints(timeout),
            SetName::LocalAffinityNodePortEndpoints(timeout),
        ],
        _ => return Vec::new(),
    };
    let length = family.address_length();
    let [with_address, without] = [length, 2 * length].map(|skipped| {
        let mut key = Bytes(client.key.0.get(skipped..).unwrap_or_default().into());
        key.0.extend_from_slice(&client.value.0);
        key
    });
    sets.into_iter().zip([with_address, without]).collect()
}

/// The elements among these that let clients stay with an endpoint.
pub(crate) fn reasons_in(elements: impl Iterator<Item = Element>) -> HashSet<(SetName, Bytes)> {
    let reasons = elements.filter(|element| layout::companion(element.set).is_some());
    reasons.map(|element| (element.set, element.key)).collect()
}
