//! A worker's randomness: identifiers and starting points, nothing secret.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use http::HeaderValue;

/// IDs are cut from blocks of this size: one allocation serves 128 requests, or 47 with traces.
const BLOCK: usize = 4096;

#[derive(Debug)]
pub(crate) struct Random {
    generator: RefCell<fastrand::Rng>,
    block: RefCell<BytesMut>,
}

impl Random {
    pub(crate) fn new() -> Self {
        Self {
            generator: RefCell::new(fastrand::Rng::new()),
            block: RefCell::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self {
            generator: RefCell::new(fastrand::Rng::with_seed(seed)),
            block: RefCell::default(),
        }
    }

    /// A number below `limit`, which must not be 0.
    pub(crate) fn below(&self, limit: usize) -> usize {
        self.generator.borrow_mut().usize(..limit)
    }

    /// At least 0 and below 1.
    pub(crate) fn fraction(&self) -> f64 {
        self.generator.borrow_mut().f64()
    }

    pub(crate) fn number(&self) -> u128 {
        self.generator.borrow_mut().u128(..)
    }

    /// 32 hexadecimal digits, as nginx makes them.
    pub(crate) fn request_id(&self) -> HeaderValue {
        let mut digits = [0; 32];
        HEXLOWER.encode_mut(&self.number().to_ne_bytes(), &mut digits);
        self.text(&digits)
    }

    /// Hexadecimal digits and dashes as a header value.
    pub(crate) fn text(&self, digits: &[u8]) -> HeaderValue {
        let mut block = self.block.borrow_mut();
        if block.capacity() < digits.len() {
            *block = BytesMut::with_capacity(BLOCK);
        }
        block.extend_from_slice(digits);
        let text: Bytes = block.split().freeze();
        HeaderValue::from_maybe_shared(text).expect("hexadecimal digits are a header value")
    }
}
