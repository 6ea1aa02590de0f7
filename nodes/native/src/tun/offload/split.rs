//! From the kernel: one super-packet becomes the packets that a network card would have sent, each whole, because what lies behind the device
//! carries them to another host.

use super::checksum;
use super::headers::{
    CWR, FIN, IPV4_BYTES, IPV4_BYTES_MAX, IPV6_BYTES, PROTOCOL_TCP, PROTOCOL_UDP, PSH, TCP_CHECKSUM, UDP_BYTES,
    UDP_CHECKSUM, network_offset, pseudo_sum, put_ipv4_checksum, put16, tcp_bytes,
};
use super::virtio::{GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VirtioHeader};

/// A super-packet that is being cut.
#[derive(Clone, Copy, Debug)]
pub struct Split {
    network: usize,
    transport: usize,
    /// Where the payload starts; what is before it is repeated in each segment.
    payload: usize,
    v6: bool,
    udp: bool,
    segment_bytes: usize,
    end: usize,
    /// Where the next segment's payload starts.
    next: usize,
    index: usize,
}

impl Split {
    /// `None` if the header does not describe the packet.
    pub fn new(header: &VirtioHeader, packet: &[u8], ethernet: bool) -> Option<Self> {
        let network = if ethernet { network_offset(packet)? } else { 0 };
        let v6 = match packet.get(network)? >> 4 {
            4 => false,
            6 => true,
            _ => return None,
        };
        let udp = match (header.gso_type & !GSO_ECN, v6) {
            (GSO_TCPV4, false) | (GSO_TCPV6, true) => false,
            (GSO_UDP_L4, _) => true,
            _ => return None,
        };
        let transport = transport_offset(header, packet, network, v6, udp)?;
        let payload = transport + if udp { UDP_BYTES } else { tcp_bytes(packet, transport)? };
        if header.gso_size == 0 || payload >= packet.len() {
            return None;
        }
        let segment_bytes = usize::from(header.gso_size);
        Some(Split { network, transport, payload, v6, udp, segment_bytes, end: packet.len(), next: payload, index: 0 })
    }

    /// Length of the next segment with its headers; `None` if all are cut.
    #[inline(always)]
    pub fn next_length(&self) -> Option<usize> {
        let rest = self.end - self.next;
        (rest > 0).then_some(self.payload + rest.min(self.segment_bytes))
    }

    /// Leaves the next segment out.
    pub fn skip(&mut self) {
        self.next = self.end.min(self.next + self.segment_bytes);
        self.index += 1;
    }

    /// Writes the next segment of `packet` to `target`, which has exactly its length.
    pub fn write(&mut self, packet: &[u8], target: &mut [u8]) {
        let (headers, body) = target.split_at_mut(self.payload);
        headers.copy_from_slice(&packet[..self.payload]);
        body.copy_from_slice(&packet[self.next..self.next + body.len()]);
        let total = target.len();
        self.fix_network(&mut target[self.network..self.transport], total - self.network);
        let last = self.next + (total - self.payload) == self.end;
        let (front, transport) = target.split_at_mut(self.transport);
        let pseudo = pseudo_sum(&front[self.network..], self.v6, self.udp, transport.len());
        if self.udp {
            put16(transport, 4, total - self.transport);
            transport[UDP_CHECKSUM..UDP_CHECKSUM + 2].fill(0);
            let checksum = checksum::complement_udp(pseudo + checksum::sum(transport));
            transport[UDP_CHECKSUM..UDP_CHECKSUM + 2].copy_from_slice(&checksum);
        } else {
            self.fix_tcp(transport, last);
            let checksum = checksum::complement(pseudo + checksum::sum(transport));
            transport[TCP_CHECKSUM..TCP_CHECKSUM + 2].copy_from_slice(&checksum);
        }
        self.skip();
    }

    /// Length, and for IPv4 the identification, which counts up, and the checksum.
    #[inline(always)]
    fn fix_network(&self, ip: &mut [u8], length: usize) {
        if self.v6 {
            put16(ip, 4, length - IPV6_BYTES);
            return;
        }
        put16(ip, 2, length);
        let identification = usize::from(u16::from_be_bytes([ip[4], ip[5]])) + self.index;
        put16(ip, 4, identification);
        put_ipv4_checksum(ip);
    }

    /// Sequence number and flags: the end is told by the last segment, a reduced window (CWR) by the first. The checksum is left zero.
    #[inline(always)]
    fn fix_tcp(&self, tcp: &mut [u8], last: bool) {
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let sequence = sequence.wrapping_add((self.next - self.payload) as u32);
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if !last {
            tcp[13] &= !(FIN | PSH);
        }
        if self.index > 0 {
            tcp[13] &= !CWR;
        }
        tcp[TCP_CHECKSUM..TCP_CHECKSUM + 2].fill(0);
    }
}

/// Where the transport header starts. The kernel says it with the checksum that it leaves to the device, which saves us the extension headers
/// of IPv6; a super-packet whose checksum was done elsewhere (a network card joined it, and this host forwards it) is looked at.
fn transport_offset(header: &VirtioHeader, packet: &[u8], network: usize, v6: bool, udp: bool) -> Option<usize> {
    if header.flags & NEEDS_CSUM == 0 {
        let (next, bytes) = match v6 {
            true => (packet.get(network + 6)?, IPV6_BYTES),
            false => (packet.get(network + 9)?, usize::from(packet.get(network)? & 15) * 4),
        };
        let known = *next == if udp { PROTOCOL_UDP } else { PROTOCOL_TCP };
        return (known && bytes >= IPV4_BYTES).then_some(network + bytes);
    }
    let transport = usize::from(header.csum_start);
    let bytes = transport.checked_sub(network)?;
    let known = if v6 { bytes >= IPV6_BYTES } else { (IPV4_BYTES..=IPV4_BYTES_MAX).contains(&bytes) };
    let checksum = if udp { UDP_CHECKSUM } else { TCP_CHECKSUM };
    (known && usize::from(header.csum_offset) == checksum).then_some(transport)
}

/// Finishes the checksum of a packet that is not cut, if the kernel left it to the device. False if the header does not describe the packet.
pub fn complete(header: &VirtioHeader, packet: &mut [u8]) -> bool {
    if header.flags & NEEDS_CSUM == 0 {
        return true;
    }
    let start = usize::from(header.csum_start);
    let at = start + usize::from(header.csum_offset);
    if start >= packet.len() || at + 2 > packet.len() {
        return false;
    }
    // The field holds the sum of the pseudo-header and counts as data.
    let sum = checksum::sum(&packet[start..]);
    let udp = usize::from(header.csum_offset) == UDP_CHECKSUM;
    let checksum = if udp { checksum::complement_udp(sum) } else { checksum::complement(sum) };
    packet[at..at + 2].copy_from_slice(&checksum);
    true
}
