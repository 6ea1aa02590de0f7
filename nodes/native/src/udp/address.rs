//! Addresses as core/wire/address.ts has them (four words, IPv4 mapped into IPv6) and as the kernel wants them.

use libc::{AF_INET, AF_INET6, in_addr, in6_addr, sockaddr_in, sockaddr_in6, socklen_t};

/// Third word of an IPv4-mapped address.
const MAPPED: u32 = 0x0000_ffff;

/// A socket address of either family.
#[repr(C)]
#[derive(Clone, Copy)]
pub union Address {
    pub v4: sockaddr_in,
    pub v6: sockaddr_in6,
}

impl Address {
    pub const fn zero() -> Self {
        // SAFETY: all-zero bytes are a valid sockaddr_in6.
        Address { v6: unsafe { std::mem::zeroed() } }
    }
}

pub fn is_v4(words: [u32; 4]) -> bool {
    words[0] == 0 && words[1] == 0 && words[2] == MAPPED
}

/// Fills `into` in the socket's family and returns its length; 0 if a socket of that family cannot reach the address.
#[inline(always)]
pub fn put(into: &mut Address, family: i32, words: [u32; 4], port: u16) -> socklen_t {
    if family == AF_INET {
        if !is_v4(words) {
            return 0;
        }
        into.v4 = sockaddr_in {
            sin_family: AF_INET as u16,
            sin_port: port.to_be(),
            sin_addr: in_addr { s_addr: words[3].to_be() },
            sin_zero: [0; 8],
        };
        return size_of::<sockaddr_in>() as socklen_t;
    }
    let mut bytes = [0u8; 16];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    into.v6 = sockaddr_in6 {
        sin6_family: AF_INET6 as u16,
        sin6_port: port.to_be(),
        sin6_flowinfo: 0,
        sin6_addr: in6_addr { s6_addr: bytes },
        sin6_scope_id: 0,
    };
    size_of::<sockaddr_in6>() as socklen_t
}

/// Words and port of what the kernel gave.
#[inline(always)]
pub fn take(from: &Address) -> ([u32; 4], u16) {
    // SAFETY: the kernel wrote one of the two; the family field has the same place in both.
    unsafe {
        if i32::from(from.v4.sin_family) == AF_INET {
            return ([0, 0, MAPPED, u32::from_be(from.v4.sin_addr.s_addr)], u16::from_be(from.v4.sin_port));
        }
        let mut words = [0u32; 4];
        for (word, chunk) in words.iter_mut().zip(from.v6.sin6_addr.s6_addr.chunks_exact(4)) {
            *word = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        }
        (words, u16::from_be(from.v6.sin6_port))
    }
}
