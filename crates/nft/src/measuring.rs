//! For benches: what a commit does before the kernel does its part.

use fairway_plan::Transaction;

use crate::Error;
use crate::batch::Progress;

/// Larger than any batch that a bench makes; a socket's limit is 64 MiB.
const LIMIT: usize = usize::MAX;

/// Encodes both parts of a transaction as a commit does, and returns their size in bytes.
pub fn encode(transaction: &Transaction) -> Result<usize, Error> {
    let parts = [&transaction.make, &transaction.release];
    let sizes = parts.map(|changes| {
        let batch = Progress::new(transaction.family, changes).batch(0, 1, LIMIT)?;
        Ok(batch.bytes().len())
    });
    let [make, release] = sizes;
    Ok(make? + release?)
}
