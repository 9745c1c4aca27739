//! `escapology`: escape attempts inside a sandbox, judged from outside.

fn main() {}
