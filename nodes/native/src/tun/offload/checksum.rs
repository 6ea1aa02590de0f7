//! The Internet checksum (RFC 1071). Sums are kept in the machine's byte order, unfolded in 64 bits: the order of the bytes in a word
//! does not matter as long as the result is stored in the same one, and 64 bits do not overflow within any packet.

/// 32-bit words that are summed side by side, for the compiler to use vector registers.
const LANES: usize = 16;

/// Sum of `bytes` as 16-bit words, the last one padded with a zero; to be folded.
#[inline(always)]
pub fn sum(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<{ LANES * 4 }>();
    let mut lanes = [0u64; LANES];
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let mut total: u64 = lanes.iter().sum();
    let (words, rest) = rest.as_chunks::<4>();
    for word in words {
        total += u64::from(u32::from_ne_bytes(*word));
    }
    let (pairs, rest) = rest.as_chunks::<2>();
    for pair in pairs {
        total += u64::from(u16::from_ne_bytes(*pair));
    }
    match rest {
        [last] => total + u64::from(u16::from_ne_bytes([*last, 0])),
        _ => total,
    }
}

/// Folds a sum into 16 bits with end-around carry.
#[inline(always)]
pub fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    sum as u16
}

/// A value of the wire as a summand.
#[inline(always)]
pub fn word(value: u16) -> u64 {
    u64::from(value.to_be())
}

/// The checksum to store, as the two bytes of the wire.
#[inline(always)]
pub fn complement(sum: u64) -> [u8; 2] {
    (!fold(sum)).to_ne_bytes()
}

/// The same for UDP, which says "none" by zero: zero is stored in its other form (RFC 768).
#[inline(always)]
pub fn complement_udp(sum: u64) -> [u8; 2] {
    match !fold(sum) {
        0 => [0xff, 0xff],
        checksum => checksum.to_ne_bytes(),
    }
}

/// Whether a sum over data with its checksum says that they fit.
#[inline(always)]
pub fn fits(sum: u64) -> bool {
    fold(sum) == 0xffff
}
