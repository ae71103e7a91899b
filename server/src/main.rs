//! The `loft` command.

fn main() {}
