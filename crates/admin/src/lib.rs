//! fairway admin.
