//! `fairway`: arguments, configuration, build, run, drain.

fn main() {}
