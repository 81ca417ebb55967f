//! The floor: what starting and ending any program costs here.

fn main() {}
