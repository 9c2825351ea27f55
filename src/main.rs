//! The `tremplin` program.

fn main() {}
