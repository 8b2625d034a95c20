//! fairway proxy.
