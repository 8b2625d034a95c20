use std::io::Write;
use std::time::{Duration, SystemTime};

/// The time of day as lines write it. Seconds are put into words once each: with thousands of lines a
/// second that is what most of a line's cost would be.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Since 1970.
    now: Duration,
    second: Option<u64>,
    /// `2023-11-14T22:13:20`
    iso: Vec<u8>,
    /// `14/Nov/2023:22:13:20 +0000`
    local: Vec<u8>,
}

impl Clock {
    pub(super) fn set(&mut self, now: SystemTime) {
        self.now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let second = self.now.as_secs();
        if self.second == Some(second) {
            return;
        }
        self.second = Some(second);
        let time = i64::try_from(second).ok();
        let time = time.and_then(|second| jiff::Timestamp::from_second(second).ok());
        let time = time.unwrap_or_default();
        self.iso.clear();
        self.local.clear();
        let written = write!(self.iso, "{}", time.strftime("%Y-%m-%dT%H:%M:%S"))
            .and_then(|()| write!(self.local, "{}", time.strftime("%d/%b/%Y:%H:%M:%S +0000")));
        written.expect("writing to memory cannot fail");
    }

    /// As nginx's `$time_local`, in UTC.
    pub(super) fn local(&self) -> &[u8] {
        &self.local
    }

    /// In ISO 8601, without a zone: it is UTC.
    pub(super) fn iso(&self) -> &[u8] {
        &self.iso
    }

    /// Since 1970.
    pub(super) fn now(&self) -> Duration {
        self.now
    }
}
