//! What the kernel's super-packets are cut to, and checksums.

use super::flow::*;
use super::pieces::*;
use super::random::Random;
use crate::tun::offload::checksum;
use crate::tun::offload::split::complete;
use crate::tun::offload::virtio::{NEEDS_CSUM, VirtioHeader};

#[test]
fn the_fast_checksum_is_the_simple_one_at_every_length_and_alignment() {
    let mut random = Random(1);
    let bytes = random.bytes(4096);
    for length in (0..700).chain([1279, 2048, 4000]) {
        for from in 0..8 {
            let slice = &bytes[from..from + length];
            assert_eq!(
                checksum::complement(checksum::sum(slice)),
                simple_checksum(slice).to_be_bytes(),
                "{from} {length}"
            );
        }
    }
    let full = vec![0xff; 65_535];
    assert_eq!(checksum::complement(checksum::sum(&full)), simple_checksum(&full).to_be_bytes());
}

#[test]
fn the_first_segment_keeps_cwr_and_only_the_last_one_fin_and_psh() {
    let mut flow = Flow::new(1, false, false);
    let mut packets = bulk(&mut flow, 3, 400);
    packets.push(flow.packet(&[1; 10], ACK | PSH | FIN));
    let (coalescer, runs) = coalesce(&packets, false, BOTH);
    let (header, mut bytes) = piece(&coalescer, &runs[0], &packets);
    assert_eq!(bytes[33], ACK | PSH | FIN);
    bytes[33] |= CWR;
    let flags: Vec<u8> = split(&header, &bytes, false).iter().map(|segment| segment[33]).collect();
    assert_eq!(flags, [ACK | CWR, ACK, ACK, ACK | PSH | FIN]);
}

#[test]
fn a_super_packet_whose_checksum_was_done_elsewhere_is_cut_like_any_other() {
    for (v6, udp) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut flow = Flow::new(3, v6, udp);
        let packets = bulk(&mut flow, 5, 600);
        let (coalescer, runs) = coalesce(&packets, false, BOTH);
        let (header, mut bytes) = piece(&coalescer, &runs[0], &packets);
        assert!(complete(&header, &mut bytes));
        let done = VirtioHeader { flags: 2, csum_start: 0, csum_offset: 0, ..header };
        assert_eq!(split(&done, &bytes, false), packets);
    }
}

#[test]
fn a_packet_that_is_not_cut_gets_the_checksum_that_the_kernel_left_to_the_device() {
    for (v6, udp) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut flow = Flow::new(3, v6, udp);
        let wanted = flow.packet(&[4; 77], if udp { 0 } else { ACK });
        let at = flow.transport() + if udp { 6 } else { 16 };
        let mut packet = wanted.clone();
        let header = VirtioHeader {
            flags: NEEDS_CSUM,
            csum_start: flow.transport() as u16,
            csum_offset: if udp { 6 } else { 16 },
            ..VirtioHeader::default()
        };
        let addresses = if v6 { &wanted[8..40] } else { &wanted[12..20] };
        let length = (wanted.len() - flow.transport()) as u16;
        let pseudo = [addresses, &[0, if udp { 17 } else { 6 }], &length.to_be_bytes()].concat();
        packet[at..at + 2].copy_from_slice(&(!simple_checksum(&pseudo)).to_be_bytes());
        assert!(complete(&header, &mut packet));
        assert_eq!(packet, wanted);
    }
}
