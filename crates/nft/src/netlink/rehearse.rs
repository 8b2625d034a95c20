//! What the kernel would say to a transaction.

use fairway_plan::Transaction;

use super::{Netlink, answers};
use crate::Report;
use crate::batch::Progress;
use crate::error::Error;

impl Netlink {
    /// Asks the kernel to check the first part of a transaction (`make`) without carrying it out. As with `nft --check`,
    /// the batch has no end, and one without is undone: no packet, no listener and no other program sees any of it.
    ///
    /// # Errors
    ///
    /// What a commit would fail with; or that the transaction does not fit into one batch.
    pub fn rehearse(&mut self, transaction: &Transaction) -> Result<Report, Error> {
        let mut progress = Progress::new(transaction.family, &transaction.make);
        let sequence = self.socket.reserve(0);
        let limit = self.socket.send_limit();
        let batch = progress.batch(0, sequence, limit)?;
        if batch.covers().end < transaction.make.len() {
            return Err(Error::TooLarge { size: limit, limit });
        }
        let batch = batch.without_end();
        let count = u32::try_from(batch.len()).expect("bounded by the size of a batch");
        self.socket.reserve(count);
        let complaints = self.send(&batch)?;
        progress.learn(&batch, answers(&complaints))?;
        Ok(Report {
            writes: 0,
            refused: super::refused(&progress),
        })
    }
}
