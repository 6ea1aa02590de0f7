//! Counters of a device, in the caller's array; the places are those of TUN_COUNTER in native.ts.

pub const PACKETS_IN: usize = 0;
pub const BYTES_IN: usize = 1;
pub const PACKETS_OUT: usize = 2;
pub const BYTES_OUT: usize = 3;
pub const DROPS_IN: usize = 4;
pub const DROPS_OUT: usize = 5;
pub const READ_CALLS: usize = 6;
pub const WRITE_CALLS: usize = 7;
pub const READS_SEGMENTED: usize = 8;
pub const WRITES_COALESCED: usize = 9;
pub const TSO_ON: usize = 10;
pub const USO_ON: usize = 11;
pub const OFFLOAD_ERRORS: usize = 12;
pub const OFFLOAD_ERRNO: usize = 13;
