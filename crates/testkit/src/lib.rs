//! fairway testkit.
