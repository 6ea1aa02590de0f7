//! Any flows and any bytes.

use std::collections::BTreeMap;

use super::flow::*;
use super::pieces::*;
use super::random::Random;
use crate::tun::offload::split::{Split, complete};
use crate::tun::offload::virtio::{GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, VIRTIO_BYTES, VirtioHeader};

/// A packet without what cutting may change: the identification of one that is never fragmented, with the checksum over it.
fn normal(packet: &[u8], ethernet: bool) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let ip = if ethernet { 14 } else { 0 };
    if packet.len() >= ip + 20 && packet[ip] == 0x45 && packet[ip + 6] & 0x40 != 0 {
        packet[ip + 4..ip + 6].fill(0);
        packet[ip + 10..ip + 12].fill(0);
    }
    packet
}

/// Addresses, protocol and ports as the packet has them now: damage may have made it another flow's.
fn flow_of(packet: &[u8], ethernet: bool) -> Vec<u8> {
    let ip = &packet[if ethernet { 14 } else { 0 }..];
    if ip[0] >> 4 == 6 { [&ip[6..7], &ip[8..44]].concat() } else { [&ip[9..10], &ip[12..24]].concat() }
}

#[test]
fn whatever_flows_are_mixed_each_gets_all_its_packets_in_order_and_byte_for_byte() {
    let mut joined = 0;
    for seed in 0..3_000 {
        let mut random = Random(seed);
        let ethernet = random.one_in(4);
        let mut flows: Vec<Flow> = (0..1 + random.below(6))
            .map(|host| Flow {
                ethernet,
                dont_fragment: !random.one_in(4),
                identification: random.next() as u16,
                sequence: random.next() as u32,
                options: if random.one_in(2) { vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] } else { vec![] },
                ..Flow::new(host as u8 + 1, random.one_in(3), random.one_in(3))
            })
            .collect();
        let size = 1 + random.below(1300);
        let mut packets = vec![];
        for _ in 0..1 + random.below(120) {
            let chosen = random.below(flows.len());
            let flow = &mut flows[chosen];
            if random.one_in(30) {
                flow.acknowledgement += 1;
            }
            if random.one_in(30) {
                flow.sequence = random.next() as u32;
            }
            let length = if random.one_in(10) { random.below(1400) } else { size };
            let extra = if random.one_in(12) { [FIN, SYN, 4, PSH, 32, 64, CWR][random.below(7)] } else { 0 };
            let payload = random.bytes(length);
            let mut packet = flow.packet(&payload, ACK | extra);
            if random.one_in(25) {
                let at = random.below(packet.len());
                packet[at] ^= 1 << random.below(8);
            }
            packets.push(packet);
        }
        let (coalescer, runs) = coalesce(&packets, ethernet, BOTH);
        joined += packets.len() - runs.len();
        let mut after: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for run in &runs {
            let (header, bytes) = piece(&coalescer, run, &packets);
            let segments = split(&header, &bytes, ethernet);
            assert_eq!(segments.len(), run.packets, "seed {seed}");
            for segment in segments {
                after.entry(flow_of(&segment, ethernet)).or_default().push(normal(&segment, ethernet));
            }
        }
        let mut before: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for packet in &packets {
            before.entry(flow_of(packet, ethernet)).or_default().push(normal(packet, ethernet));
        }
        assert!(after == before, "seed {seed}");
        for run in runs.iter().filter(|run| run.packets > 1) {
            for index in coalescer.packets(run) {
                assert!(is_whole(&packets[index], ethernet), "seed {seed}: packet {index} was joined although damaged");
            }
        }
    }
    assert!(joined > 20_000, "{joined}");
}

/// Whether the checksums of a packet fit, by the simple function.
fn is_whole(packet: &[u8], ethernet: bool) -> bool {
    let ip = &packet[if ethernet { 14 } else { 0 }..];
    let v6 = ip[0] >> 4 == 6;
    let (header, protocol) = if v6 { (40, ip[6]) } else { (20, ip[9]) };
    let addresses = if v6 { &ip[8..40] } else { &ip[12..20] };
    let length = (ip.len() - header) as u16;
    let all = [addresses, &[0, protocol], &length.to_be_bytes(), &ip[header..]].concat();
    (v6 || simple_checksum(&ip[..20]) == 0) && simple_checksum(&all) == 0
}

fn random_header(random: &mut Random) -> VirtioHeader {
    let small = |random: &mut Random| if random.one_in(8) { random.next() as u16 } else { random.below(80) as u16 };
    VirtioHeader {
        flags: random.below(4) as u8,
        gso_type: [GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, 3, 0x81, 0x84, random.next() as u8][random.below(7)],
        hdr_len: small(random),
        gso_size: small(random),
        csum_start: [small(random), 20, 34, 40, 54][random.below(5)],
        csum_offset: [6, 16, small(random)][random.below(3)],
    }
}

#[test]
fn no_bytes_and_no_virtio_header_make_anything_panic_and_no_segment_exceeds_what_was_announced() {
    let mut random = Random(7);
    let mut accepted = 0;
    for round in 0..200_000 {
        let ethernet = random.one_in(2);
        let mut packet = if round % 2 == 0 {
            let length = random.below(200);
            random.bytes(length)
        } else {
            let mut flow = Flow { ethernet, ..Flow::new(1, random.one_in(2), random.one_in(2)) };
            let payload = random.below(300);
            let mut packet = flow.packet(&vec![1; payload], ACK);
            for _ in 0..random.below(4) {
                let at = random.below(packet.len());
                packet[at] = random.next() as u8;
            }
            packet.truncate(random.below(packet.len() + 40) + 1);
            packet
        };
        let header = random_header(&mut random);
        let mut wire = [0; VIRTIO_BYTES];
        header.write(&mut wire);
        assert_eq!(VirtioHeader::read(&wire), header);
        if let Some(mut split) = Split::new(&header, &packet, ethernet) {
            accepted += 1;
            let mut count = 0;
            while let Some(length) = split.next_length() {
                if random.one_in(10) {
                    split.skip();
                } else {
                    assert!(length <= packet.len());
                    split.write(&packet, &mut vec![0; length]);
                }
                count += 1;
                assert!(count <= packet.len());
            }
        }
        complete(&header, &mut packet);
    }
    assert!(accepted > 1_000, "{accepted}");
}

#[test]
fn no_bytes_in_a_batch_make_the_coalescer_panic_or_lose_a_packet() {
    let mut random = Random(9);
    for _ in 0..5_000 {
        let ethernet = random.one_in(2);
        let mut flow = Flow { ethernet, ..Flow::new(1, random.one_in(2), random.one_in(2)) };
        let packets: Vec<Vec<u8>> = (0..1 + random.below(30))
            .map(|_| {
                let mut packet = flow.packet(&[3; 60], ACK);
                if random.one_in(3) {
                    for _ in 0..random.below(6) {
                        let at = random.below(packet.len());
                        packet[at] = random.next() as u8;
                    }
                    packet.truncate(random.below(packet.len() + 20));
                }
                packet
            })
            .collect();
        let (coalescer, runs) = coalesce(&packets, ethernet, BOTH);
        let mut seen: Vec<usize> = runs.iter().flat_map(|run| coalescer.packets(run).collect::<Vec<_>>()).collect();
        for run in &runs {
            piece(&coalescer, run, &packets);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..packets.len()).collect::<Vec<_>>());
    }
}
