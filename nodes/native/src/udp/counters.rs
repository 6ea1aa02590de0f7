//! Counters of a socket, in the caller's array; the places are those of UDP_COUNTER in native.ts.

pub const PACKETS_IN: usize = 0;
pub const BYTES_IN: usize = 1;
pub const PACKETS_OUT: usize = 2;
pub const BYTES_OUT: usize = 3;
pub const DROPS_IN: usize = 4;
pub const DROPS_OUT: usize = 5;
pub const RECEIVE_CALLS: usize = 6;
pub const SEND_CALLS: usize = 7;
pub const MESSAGES_COALESCED: usize = 8;
pub const MESSAGES_SEGMENTED: usize = 9;
pub const GSO_ON: usize = 10;
pub const GRO_ON: usize = 11;
pub const OFFLOAD_ERRORS: usize = 12;
pub const OFFLOAD_ERRNO: usize = 13;
pub const WAKES_PACED: usize = 14;
