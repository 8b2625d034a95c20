//! Appends messages and attributes to a buffer, patching lengths when they are known.

use super::constants::{
    HEADER, NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFNL_SUBSYS_NFTABLES, NLM_F_REQUEST,
};

/// Marks an attribute that holds attributes.
const NLA_F_NESTED: u16 = 0x8000;

/// A buffer of netlink messages.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    buffer: Vec<u8>,
}

impl Writer {
    /// Everything written so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Drops what was written after `length`.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.buffer.truncate(length);
    }

    /// Opens a batch.
    pub(crate) fn batch_begin(&mut self, sequence: u32) {
        self.batch_edge(NFNL_MSG_BATCH_BEGIN, sequence);
    }

    /// Closes a batch.
    pub(crate) fn batch_end(&mut self, sequence: u32) {
        self.batch_edge(NFNL_MSG_BATCH_END, sequence);
    }

    fn batch_edge(&mut self, kind: u16, sequence: u32) {
        let start = self.begin(kind, NLM_F_REQUEST, sequence);
        // AF_UNSPEC, version 0, and the subsystem the batch is for.
        let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
        self.buffer.extend_from_slice(&[0, 0, high, low]);
        self.finish(start);
    }

    /// Writes a netfilter message with the attributes that `body` appends.
    pub(crate) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        family: u8,
        body: impl FnOnce(&mut Self),
    ) {
        let start = self.begin(kind, NLM_F_REQUEST | flags, sequence);
        self.buffer.extend_from_slice(&[family, 0, 0, 0]);
        body(self);
        self.finish(start);
    }

    fn begin(&mut self, kind: u16, flags: u16, sequence: u32) -> usize {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(&flags.to_ne_bytes());
        self.buffer.extend_from_slice(&sequence.to_ne_bytes());
        // The sender's port: the kernel fills in the socket's own.
        self.buffer.extend_from_slice(&[0; 4]);
        start
    }

    fn finish(&mut self, start: usize) {
        let length =
            u32::try_from(self.buffer.len() - start).expect("a message is far below 4 GiB");
        self.buffer[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Sets flags of the message that starts at `start`.
    pub(crate) fn add_flags(&mut self, start: usize, flags: u16) {
        debug_assert!(start + HEADER <= self.buffer.len());
        let at = start + 6;
        let old = u16::from_ne_bytes([self.buffer[at], self.buffer[at + 1]]);
        self.buffer[at..at + 2].copy_from_slice(&(old | flags).to_ne_bytes());
    }

    /// An attribute.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(4 + value.len()).expect("our values are below 64 KiB");
        self.buffer.extend_from_slice(&length.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(value);
        self.pad();
    }

    /// Attributes as they were read.
    pub(crate) fn raw(&mut self, attributes: &[u8]) {
        self.buffer.extend_from_slice(attributes);
        self.pad();
    }

    /// A number, big-endian as nf_tables has it.
    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// A text, ended by a zero byte.
    pub(crate) fn string(&mut self, kind: u16, value: &str) {
        let length = u16::try_from(5 + value.len()).expect("our names are below 64 KiB");
        self.buffer.extend_from_slice(&length.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(value.as_bytes());
        self.buffer.push(0);
        self.pad();
    }

    /// An attribute that holds the attributes that `body` appends.
    pub(crate) fn nested<R>(&mut self, kind: u16, body: impl FnOnce(&mut Self) -> R) -> R {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 2]);
        self.buffer
            .extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        let result = body(self);
        let length = u16::try_from(self.buffer.len() - start)
            .expect("element lists are cut at 64 KiB and rules are short");
        self.buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        result
    }

    fn pad(&mut self) {
        let padded = self.buffer.len().next_multiple_of(4);
        self.buffer.resize(padded, 0);
    }
}
