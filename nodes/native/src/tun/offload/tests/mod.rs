//! Super-packets without a device: what is joined and cut again is what it was, byte for byte, and no bytes make any of it panic.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod any;
mod cutting;
mod flow;
mod joining;
mod pieces;
mod random;
mod writing;
