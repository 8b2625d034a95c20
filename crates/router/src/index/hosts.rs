use super::{Arc, Host, HostMap, HostPattern, HostTable, Index, WildcardSpan};

impl Index {
    /// The one entry that a host uses: what it has no route for is not looked for elsewhere, as whoever
    /// declares a host decides about all of it.
    pub(super) fn table_for(&self, host: &Host) -> Option<&HostTable> {
        let named = host.as_str().and_then(|name| {
            (self.exact.get(name))
                .or_else(|| self.one_label.get(parent(name)?))
                .or_else(|| longest_suffix(&self.one_or_more_labels, name))
        });
        named.or(self.any.as_ref()).map(Arc::as_ref)
    }

    /// The wildcards that a name could use, best first.
    pub(super) fn wildcards_for(&self, name: &str) -> Vec<HostPattern> {
        let one = parent(name).and_then(|parent| self.one_label.get_key_value(parent));
        let one = one.map(|(suffix, _)| (suffix, WildcardSpan::OneLabel));
        let more = std::iter::successors(parent(name), |suffix| parent(suffix))
            .filter_map(|suffix| self.one_or_more_labels.get_key_value(suffix))
            .map(|(suffix, _)| (suffix, WildcardSpan::OneOrMoreLabels));
        one.into_iter()
            .chain(more)
            .map(|(suffix, span)| HostPattern::Wildcard {
                suffix: suffix.clone(),
                span,
            })
            .collect()
    }

    pub(crate) fn table(&self, pattern: &HostPattern) -> Option<&Arc<HostTable>> {
        match pattern {
            HostPattern::Exact(host) => self.exact.get(host),
            HostPattern::Wildcard { suffix, span } => self.wildcards(*span).get(suffix),
            HostPattern::Any => self.any.as_ref(),
        }
    }

    pub(crate) fn insert(&mut self, pattern: &HostPattern, table: Arc<HostTable>) {
        match pattern {
            HostPattern::Exact(host) => self.exact.insert_mut(host.clone(), table),
            HostPattern::Wildcard { suffix, span } => {
                self.wildcards_mut(*span).insert_mut(suffix.clone(), table);
            }
            HostPattern::Any => self.any = Some(table),
        }
    }

    pub(crate) fn remove(&mut self, pattern: &HostPattern) {
        match pattern {
            HostPattern::Exact(host) => {
                self.exact.remove_mut(host);
            }
            HostPattern::Wildcard { suffix, span } => {
                self.wildcards_mut(*span).remove_mut(suffix);
            }
            HostPattern::Any => self.any = None,
        }
    }

    fn wildcards(&self, span: WildcardSpan) -> &HostMap {
        match span {
            WildcardSpan::OneLabel => &self.one_label,
            WildcardSpan::OneOrMoreLabels => &self.one_or_more_labels,
        }
    }

    fn wildcards_mut(&mut self, span: WildcardSpan) -> &mut HostMap {
        match span {
            WildcardSpan::OneLabel => &mut self.one_label,
            WildcardSpan::OneOrMoreLabels => &mut self.one_or_more_labels,
        }
    }
}

/// The name without its first label.
fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}

fn longest_suffix<'a>(wildcards: &'a HostMap, name: &str) -> Option<&'a Arc<HostTable>> {
    if wildcards.is_empty() {
        return None;
    }
    std::iter::successors(parent(name), |suffix| parent(suffix))
        .find_map(|suffix| wildcards.get(suffix))
}
