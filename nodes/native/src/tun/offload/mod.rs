//! Super-packets: what a network card with segmentation offload would take from and hand to the kernel. Pure functions over bytes, without
//! the device: `split` cuts what the kernel sends in one piece, `coalesce` joins what it may be handed in one piece.

pub mod checksum;
pub mod coalesce;
pub mod handover;
mod headers;
pub mod split;
pub mod virtio;

#[cfg(test)]
mod tests;
