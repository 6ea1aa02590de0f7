//! The header in front of each packet of a device with IFF_VNET_HDR: `struct virtio_net_hdr` of linux/virtio_net.h, in the machine's byte order.

pub const VIRTIO_BYTES: usize = 10;

/// `flags`: the checksum field holds the sum of the pseudo-header, the rest is still to be done.
pub const NEEDS_CSUM: u8 = 1;

/// `gso_type`
pub const GSO_NONE: u8 = 0;
pub const GSO_TCPV4: u8 = 1;
pub const GSO_TCPV6: u8 = 4;
pub const GSO_UDP_L4: u8 = 5;
/// Beside one of the others: CWR (RFC 3168) is on the first segment.
pub const GSO_ECN: u8 = 0x80;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VirtioHeader {
    pub flags: u8,
    pub gso_type: u8,
    pub hdr_len: u16,
    pub gso_size: u16,
    pub csum_start: u16,
    pub csum_offset: u16,
}

impl VirtioHeader {
    pub fn read(bytes: &[u8; VIRTIO_BYTES]) -> Self {
        let half = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        VirtioHeader {
            flags: bytes[0],
            gso_type: bytes[1],
            hdr_len: half(2),
            gso_size: half(4),
            csum_start: half(6),
            csum_offset: half(8),
        }
    }

    pub fn write(&self, bytes: &mut [u8; VIRTIO_BYTES]) {
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        for (at, value) in [(2, self.hdr_len), (4, self.gso_size), (6, self.csum_start), (8, self.csum_offset)] {
            bytes[at..at + 2].copy_from_slice(&value.to_ne_bytes());
        }
    }
}
