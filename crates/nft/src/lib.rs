//! fairway nft.
