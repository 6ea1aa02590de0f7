//! To the kernel: consecutive packets of one flow become one super-packet, as a network card with receive offload would make it. Within a flow
//! the order stays; flows may pass one another, as they may on any network.
//!
//! Nobody looks at the checksums of merged packets again, so each is proved before: a packet that was damaged on its way reaches the kernel
//! alone and as it is.

use super::checksum;
use super::headers::{
    ACK, CWR, DONT_FRAGMENT, FIN, HEADERS_BYTES_MAX, Headers, IPV6_BYTES, PSH, RST, SYN, TCP_CHECKSUM, UDP_CHECKSUM,
    URG, be16, be32, pseudo_sum, put_ipv4_checksum, put16,
};
use super::virtio::{GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VIRTIO_BYTES, VirtioHeader};

/// Largest IP packet.
const PACKET_BYTES_MAX: usize = 65_535;
/// Packets in one run: the kernel before 6.9 cuts a UDP super-packet into no more, and a TCP one of full segments has fewer.
pub const RUN_PACKETS_MAX: usize = 64;
/// Flows that are told apart at a time, a power of two; a flow that loses its place only merges less.
const FLOWS: usize = 64;
const NONE: u32 = u32::MAX;

/// Room for all headers of a super-packet.
pub const SUPER_HEADERS_BYTES: usize = VIRTIO_BYTES + HEADERS_BYTES_MAX;

/// What the kernel may be handed in one piece.
#[derive(Clone, Copy, Debug)]
pub struct Mergeable {
    pub tcp: bool,
    pub udp: bool,
}

/// One packet, or several that the kernel is handed in one piece.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    first: u32,
    last: u32,
    pub packets: usize,
    /// Headers and all payloads.
    pub bytes: usize,
    /// Those of the first packet; `None` if it is of no kind that is merged.
    headers: Option<Headers>,
    /// Whether more may follow.
    open: bool,
    /// Whether the first packet's checksums have been proved.
    proved: bool,
    /// Payload of each packet but the last.
    segment_bytes: usize,
    sequence: u32,
    /// FIN and PSH of the last packet.
    end_flags: u8,
}

impl Run {
    pub fn is_udp(&self) -> bool {
        self.headers.is_some_and(|headers| headers.udp)
    }

    /// Bytes of headers in front of each packet's payload.
    pub fn header_bytes(&self) -> usize {
        self.headers.map_or(0, |headers| headers.payload)
    }
}

/// Divides one batch into runs.
pub struct Coalescer {
    ethernet: bool,
    runs: Vec<Run>,
    /// The packet behind each packet in its run.
    following: Vec<u32>,
    /// The latest run of the flows whose hash is the index.
    latest: [u32; FLOWS],
}

impl Coalescer {
    /// For batches of up to `capacity` packets.
    pub fn new(capacity: usize, ethernet: bool) -> Self {
        Coalescer {
            ethernet,
            runs: Vec::with_capacity(capacity),
            following: vec![NONE; capacity],
            latest: [NONE; FLOWS],
        }
    }

    /// In the order in which they are to be written.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Indices of a run's packets, in order.
    pub fn packets(&self, run: &Run) -> impl Iterator<Item = usize> + '_ {
        let mut next = run.first;
        std::iter::from_fn(move || {
            let packet = next as usize;
            next = *self.following.get(packet)?;
            Some(packet)
        })
    }

    pub fn clear(&mut self) {
        self.runs.clear();
        self.latest.fill(NONE);
    }

    /// Takes packet `index` of a batch; `packet` gives the bytes of this and earlier ones.
    pub fn add<'a>(&mut self, index: usize, packet: impl Fn(usize) -> &'a [u8], mergeable: Mergeable) {
        let Some(following) = self.following.get_mut(index) else { return };
        *following = NONE;
        let bytes = packet(index);
        let headers = if mergeable.tcp || mergeable.udp { Headers::parse(bytes, self.ethernet) } else { None };
        let Some(headers) = headers else {
            // It may belong to any flow (a fragment, a tunnel in the tunnel), so it passes none and none passes it.
            self.latest.fill(NONE);
            self.start(index, bytes, None, mergeable);
            return;
        };
        let flow = flow_hash(bytes, &headers) % FLOWS;
        if let Some(run) = self.latest.get(flow).and_then(|&run| self.runs.get_mut(run as usize))
            && run.open
            && continues(run, packet(run.first as usize), bytes, &headers)
        {
            if !run.proved && !headers.checksums_fit(packet(run.first as usize)) {
                run.open = false;
            } else {
                run.proved = true;
                if headers.checksums_fit(bytes) {
                    self.following[run.last as usize] = index as u32;
                    append(run, index, bytes, &headers);
                    return;
                }
            }
        }
        self.latest[flow] = self.runs.len() as u32;
        self.start(index, bytes, Some(headers), mergeable);
    }

    fn start(&mut self, index: usize, bytes: &[u8], headers: Option<Headers>, mergeable: Mergeable) {
        let payload = headers.map_or(0, |headers| bytes.len() - headers.payload);
        let mut run = Run {
            first: index as u32,
            last: index as u32,
            packets: 1,
            bytes: bytes.len(),
            headers,
            open: false,
            proved: false,
            segment_bytes: payload,
            sequence: 0,
            end_flags: 0,
        };
        if let Some(headers) = headers
            && payload > 0
        {
            if headers.udp {
                run.open = mergeable.udp && bytes[headers.transport + UDP_CHECKSUM..headers.payload] != [0, 0];
            } else {
                let flags = bytes[headers.transport + 13];
                run.sequence = be32(bytes, headers.transport + 4).wrapping_add(payload as u32);
                // A first packet that says "end" has no successor, one with CWR would lend it to all.
                run.open = mergeable.tcp && flags & (ACK | SYN | RST | URG | CWR | FIN | PSH) == ACK;
            }
        }
        self.runs.push(run);
    }

    /// Writes the virtio header and the headers of a run of several packets; `first` is its first packet. Returns how many bytes they are.
    pub fn write_headers(&self, run: &Run, first: &[u8], target: &mut [u8; SUPER_HEADERS_BYTES]) -> usize {
        let Some(headers) = run.headers else { return 0 };
        let Headers { network, transport, payload, v6, udp } = headers;
        let (virtio, rest) = target.split_at_mut(VIRTIO_BYTES);
        let bytes = &mut rest[..payload];
        bytes.copy_from_slice(&first[..payload]);
        let (front, transport_header) = bytes.split_at_mut(transport);
        let ip = &mut front[network..];
        if v6 {
            put16(ip, 4, run.bytes - network - IPV6_BYTES);
        } else {
            put16(ip, 2, run.bytes - network);
            put_ipv4_checksum(ip);
        }
        // As a network card hands it over: the sum of the pseudo-header, completed by the kernel if the packet leaves the host again.
        let length = run.bytes - transport;
        let pseudo = checksum::fold(pseudo_sum(ip, v6, udp, length)).to_ne_bytes();
        if udp {
            put16(transport_header, 4, length);
            transport_header[UDP_CHECKSUM..UDP_CHECKSUM + 2].copy_from_slice(&pseudo);
        } else {
            transport_header[13] |= run.end_flags;
            transport_header[TCP_CHECKSUM..TCP_CHECKSUM + 2].copy_from_slice(&pseudo);
        }
        let header = VirtioHeader {
            flags: NEEDS_CSUM,
            gso_type: match (udp, v6) {
                (true, _) => GSO_UDP_L4,
                (false, false) => GSO_TCPV4,
                (false, true) => GSO_TCPV6,
            },
            hdr_len: payload as u16,
            gso_size: run.segment_bytes as u16,
            csum_start: transport as u16,
            csum_offset: headers.checksum_offset() as u16,
        };
        if let Some(virtio) = virtio.first_chunk_mut() {
            header.write(virtio);
        }
        VIRTIO_BYTES + payload
    }
}

/// Whether a packet is what the run's next segment would be: all that a super-packet says once is the same in both.
#[inline(always)]
fn continues(run: &Run, first: &[u8], bytes: &[u8], headers: &Headers) -> bool {
    let Some(own) = run.headers else { return false };
    let payload = bytes.len() - headers.payload;
    let same_shape = own.payload == headers.payload
        && own.transport == headers.transport
        && own.v6 == headers.v6
        && own.udp == headers.udp;
    if !same_shape
        || payload == 0
        || payload > run.segment_bytes
        || run.packets == RUN_PACKETS_MAX
        || run.bytes - own.network + payload > PACKET_BYTES_MAX
    {
        return false;
    }
    let (front, transport) = (&bytes[..headers.transport], &bytes[headers.transport..headers.payload]);
    let (first_front, first_transport) = (&first[..own.transport], &first[own.transport..own.payload]);
    same_network(run, first_front, front, own.network, own.v6)
        && if own.udp {
            transport[..4] == first_transport[..4] && transport[UDP_CHECKSUM..] != [0, 0]
        } else {
            same_tcp(run, first_transport, transport)
        }
}

/// Link and IP headers: all but length, checksum and identification.
#[inline(always)]
fn same_network(run: &Run, first: &[u8], next: &[u8], network: usize, v6: bool) -> bool {
    if first[..network] != next[..network] {
        return false;
    }
    let (first, next) = (&first[network..], &next[network..]);
    if v6 {
        return first[..4] == next[..4] && first[6..] == next[6..];
    }
    // A packet that may be fragmented is known by its identification, so cutting the super-packet must give the same ones again.
    let identified = first[6] & DONT_FRAGMENT != 0 || be16(next, 4) == be16(first, 4).wrapping_add(run.packets as u16);
    identified && first[..2] == next[..2] && first[6..10] == next[6..10] && first[12..] == next[12..]
}

/// Ports, acknowledgement, header length, flags but those of an end, window, urgent pointer and options; and the sequence goes on.
#[inline(always)]
fn same_tcp(run: &Run, first: &[u8], next: &[u8]) -> bool {
    be32(next, 4) == run.sequence
        && first[..4] == next[..4]
        && first[8..13] == next[8..13]
        && (first[13] ^ next[13]) & !(FIN | PSH) == 0
        && first[14..16] == next[14..16]
        && first[18..] == next[18..]
}

#[inline(always)]
fn append(run: &mut Run, index: usize, bytes: &[u8], headers: &Headers) {
    let payload = bytes.len() - headers.payload;
    run.last = index as u32;
    run.packets += 1;
    run.bytes += payload;
    if !headers.udp {
        run.sequence = run.sequence.wrapping_add(payload as u32);
        run.end_flags = bytes[headers.transport + 13] & (FIN | PSH);
    }
    run.open = payload == run.segment_bytes && run.end_flags == 0;
}

/// Mixes addresses, ports and protocol. Only merging depends on it, so it need not withstand anybody.
#[inline(always)]
fn flow_hash(bytes: &[u8], headers: &Headers) -> usize {
    let ip = &bytes[headers.network..headers.transport];
    let (source, destination) = match headers.v6 {
        false => (be32(ip, 12), be32(ip, 16)),
        true => (be32(ip, 16) ^ be32(ip, 20), be32(ip, 32) ^ be32(ip, 36)),
    };
    let ports = be32(bytes, headers.transport);
    let mixed = (u64::from(source) ^ u64::from(destination).rotate_left(32) ^ u64::from(headers.udp))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ u64::from(ports).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xc4ce_b9fe_1a85_ec53) as usize >> 32
}
