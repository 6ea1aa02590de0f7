//! Where things are in a TCP or UDP packet, over IPv4 or IPv6, bare or in an Ethernet frame.

use super::checksum;

pub const ETHERNET_BYTES: usize = 14;
const VLAN_BYTES: usize = 4;
/// Tags in front of one packet: IEEE 802.1ad has two.
const VLAN_TAGS_MAX: usize = 2;
pub const IPV4_BYTES: usize = 20;
/// With all its options.
pub const IPV4_BYTES_MAX: usize = 60;
pub const IPV6_BYTES: usize = 40;
pub const TCP_BYTES: usize = 20;
pub const UDP_BYTES: usize = 8;
/// Ethernet, IPv6, and a TCP header with all its options.
pub const HEADERS_BYTES_MAX: usize = ETHERNET_BYTES + IPV6_BYTES + 60;

pub const TCP_CHECKSUM: usize = 16;
pub const UDP_CHECKSUM: usize = 6;
pub const PROTOCOL_TCP: u8 = 6;
pub const PROTOCOL_UDP: u8 = 17;

/// Flags in byte 13 of a TCP header.
pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const URG: u8 = 0x20;
pub const CWR: u8 = 0x80;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPES_VLAN: [u16; 2] = [0x8100, 0x88a8];
/// Don't-fragment is the only one of the fragment bits that a whole packet may have.
pub const DONT_FRAGMENT: u8 = 0x40;

#[inline(always)]
pub fn be16(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..at + 2) {
        Some(two) => u16::from_be_bytes([two[0], two[1]]),
        None => 0,
    }
}

#[inline(always)]
pub fn be32(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 4) {
        Some(four) => u32::from_be_bytes([four[0], four[1], four[2], four[3]]),
        None => 0,
    }
}

/// Where the IP header of an Ethernet frame starts, behind VLAN tags; `None` if it holds none.
pub fn network_offset(frame: &[u8]) -> Option<usize> {
    let mut at = ETHERNET_BYTES;
    for _ in 0..VLAN_TAGS_MAX {
        if !ETHERTYPES_VLAN.contains(&be16(frame, at - 2)) {
            break;
        }
        at += VLAN_BYTES;
    }
    matches!(be16(frame, at - 2), ETHERTYPE_IPV4 | ETHERTYPE_IPV6).then_some(at)
}

/// A whole TCP or UDP packet with no options of IPv4, no extension headers of IPv6, no VLAN tag and nothing behind it.
#[derive(Clone, Copy, Debug)]
pub struct Headers {
    pub network: usize,
    pub transport: usize,
    pub payload: usize,
    pub v6: bool,
    pub udp: bool,
}

impl Headers {
    #[inline]
    pub fn parse(packet: &[u8], ethernet: bool) -> Option<Self> {
        let network = match ethernet {
            false => 0,
            true => match be16(packet, ETHERNET_BYTES - 2) {
                ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => ETHERNET_BYTES,
                _ => return None,
            },
        };
        let ip = packet.get(network..)?;
        let (v6, transport, protocol, length) = match ip.first()? {
            0x45 if ip.len() >= IPV4_BYTES => {
                // More fragments, an offset, or the reserved bit.
                if ip[6] & !DONT_FRAGMENT != 0 || ip[7] != 0 {
                    return None;
                }
                (false, network + IPV4_BYTES, ip[9], usize::from(be16(ip, 2)))
            }
            first if first >> 4 == 6 && ip.len() >= IPV6_BYTES => {
                (true, network + IPV6_BYTES, ip[6], IPV6_BYTES + usize::from(be16(ip, 4)))
            }
            _ => return None,
        };
        if length != ip.len() {
            return None;
        }
        let udp = protocol == PROTOCOL_UDP;
        let payload = match protocol {
            PROTOCOL_UDP => transport + UDP_BYTES,
            PROTOCOL_TCP => transport + tcp_bytes(packet, transport)?,
            _ => return None,
        };
        let fits =
            payload <= packet.len() && (!udp || usize::from(be16(packet, transport + 4)) == packet.len() - transport);
        fits.then_some(Headers { network, transport, payload, v6, udp })
    }

    /// Offset of the checksum in the transport header.
    pub fn checksum_offset(&self) -> usize {
        if self.udp { UDP_CHECKSUM } else { TCP_CHECKSUM }
    }

    /// Whether the checksums of the packet are right. UDP without one (zero) is not.
    pub fn checksums_fit(&self, packet: &[u8]) -> bool {
        let header = &packet[self.network..self.transport];
        let body = &packet[self.transport..];
        (self.v6 || checksum::fits(checksum::sum(header)))
            && (!self.udp || body[UDP_CHECKSUM..UDP_CHECKSUM + 2] != [0, 0])
            && checksum::fits(pseudo_sum(header, self.v6, self.udp, body.len()) + checksum::sum(body))
    }
}

/// Length of a TCP header with its options; `None` if that is none.
#[inline(always)]
pub fn tcp_bytes(packet: &[u8], transport: usize) -> Option<usize> {
    let bytes = usize::from(packet.get(transport + 12)? >> 4) * 4;
    (bytes >= TCP_BYTES && transport + bytes <= packet.len()).then_some(bytes)
}

/// Sum of the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1) from an IP header and the length of what follows the IP headers.
#[inline(always)]
pub fn pseudo_sum(ip: &[u8], v6: bool, udp: bool, length: usize) -> u64 {
    let addresses = if v6 { &ip[8..40] } else { &ip[12..20] };
    let protocol = if udp { PROTOCOL_UDP } else { PROTOCOL_TCP };
    // Super-packets are below 64 KiB like all others, but what the kernel claims is not to be trusted that far.
    let length = (length & 0xffff) + (length >> 16);
    checksum::sum(addresses) + checksum::word(u16::from(protocol)) + checksum::word(length as u16)
}

/// Writes the header checksum of an IPv4 header.
#[inline(always)]
pub fn put_ipv4_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let checksum = checksum::complement(checksum::sum(header));
    header[10..12].copy_from_slice(&checksum);
}

#[inline(always)]
pub fn put16(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
}
