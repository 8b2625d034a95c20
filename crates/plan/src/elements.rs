//! What is kept of every Service for as long as it lives.

use crate::{Bytes, Element, SetName};

/// The elements of a Service, sorted and without duplicates. Packed, because there are tens of
/// thousands of these lists: three elements take 100 bytes instead of 350.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elements {
    runs: Box<[Run]>,
    /// Key and value of each element, one after the other.
    bytes: Box<[u8]>,
}

/// Neighbours of the same set and of the same lengths.
#[derive(Clone, Copy, Debug)]
struct Run {
    set: SetName,
    elements: u32,
    key: u8,
    value: u8,
}

impl Elements {
    /// How many there are of each set.
    pub(crate) fn sets(&self) -> impl Iterator<Item = (SetName, usize)> {
        let runs = self.runs.iter();
        runs.map(|run| (run.set, run.elements as usize))
    }

    /// In their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Element> {
        let runs = self.runs.iter();
        let each = runs.flat_map(|run| std::iter::repeat_n(*run, run.elements as usize));
        let mut bytes = &*self.bytes;
        let mut take = move |length: u8| {
            let (taken, rest) = bytes.split_at(usize::from(length));
            bytes = rest;
            Bytes::from(taken)
        };
        each.map(move |run| Element {
            set: run.set,
            key: take(run.key),
            value: take(run.value),
        })
    }
}

impl From<Vec<Element>> for Elements {
    fn from(mut elements: Vec<Element>) -> Self {
        elements.sort_unstable();
        elements.dedup();
        let length = |bytes: &Bytes| {
            u8::try_from(bytes.0.len()).expect("the kernel's keys and values have at most 64 bytes")
        };
        let mut runs: Vec<Run> = Vec::with_capacity(4);
        let sizes = elements.iter().map(|it| it.key.0.len() + it.value.0.len());
        let mut bytes = Vec::with_capacity(sizes.sum());
        for Element { set, key, value } in &elements {
            bytes.extend_from_slice(&key.0);
            bytes.extend_from_slice(&value.0);
            let (key, value) = (length(key), length(value));
            match runs.last_mut() {
                Some(run) if (run.set, run.key, run.value) == (*set, key, value) => {
                    run.elements += 1;
                }
                _ => runs.push(Run {
                    set: *set,
                    elements: 1,
                    key,
                    value,
                }),
            }
        }
        Self {
            runs: runs.into(),
            bytes: bytes.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SlotClass;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_sorted(
            parts in proptest::collection::vec((0usize..4, proptest::collection::vec(0u8..3, 0..4)), 0..30)
        ) {
            let class = SlotClass::of(2).unwrap();
            let sets = [
                SetName::ClusterIps,
                SetName::NodePorts,
                SetName::Endpoints(class),
                SetName::LocalEndpoints(class),
            ];
            let element = |(set, key): (usize, Vec<u8>)| Element {
                set: sets[set],
                value: Bytes(key.iter().rev().copied().collect()),
                key: Bytes(key.into()),
            };
            let mut elements: Vec<_> = parts.into_iter().map(element).collect();
            let packed = Elements::from(elements.clone());
            elements.sort();
            elements.dedup();
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), elements);
        }
    }
}
