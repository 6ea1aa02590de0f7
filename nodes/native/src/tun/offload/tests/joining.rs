//! Which packets become one super-packet, and what it says.

use super::flow::*;
use super::pieces::*;
use crate::tun::offload::coalesce::Mergeable;
use crate::tun::offload::split::complete;
use crate::tun::offload::virtio::{GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VirtioHeader};

#[test]
fn a_bulk_of_one_flow_becomes_one_super_packet_as_a_network_card_makes_it() {
    for (v6, udp, gso_type) in
        [(false, false, GSO_TCPV4), (true, false, GSO_TCPV6), (false, true, GSO_UDP_L4), (true, true, GSO_UDP_L4)]
    {
        let mut flow = Flow::new(5, v6, udp);
        flow.options = if udp { vec![] } else { vec![1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8] };
        let mut packets = bulk(&mut flow, 40, 1200);
        packets.push(flow.packet(&[9; 333], if udp { 0 } else { ACK | PSH }));
        let (coalescer, runs) = coalesce(&packets, false, BOTH);
        assert_eq!(runs.len(), 1);
        let (header, bytes) = piece(&coalescer, &runs[0], &packets);
        let wanted = VirtioHeader {
            flags: NEEDS_CSUM,
            gso_type,
            hdr_len: flow.payload() as u16,
            gso_size: 1200,
            csum_start: flow.transport() as u16,
            csum_offset: if udp { 6 } else { 16 },
        };
        assert_eq!(header, wanted);
        assert_eq!(bytes.len(), flow.payload() + 40 * 1200 + 333);
        // Completing the partial checksum gives what one large packet would carry.
        let mut whole = bytes.clone();
        assert!(complete(&header, &mut whole));
        let mut one = Flow { sequence: Flow::new(5, v6, udp).sequence, identification: 65_530, ..flow.clone() };
        let payload = bytes[flow.payload()..].to_vec();
        assert_eq!(whole, one.packet(&payload, if udp { 0 } else { ACK | PSH }));
        assert_eq!(joined_and_split(&packets, false), packets);
    }
}

#[test]
fn interleaved_flows_are_joined_each_for_itself() {
    let mut flows: Vec<Flow> = (1..=4).map(|host| Flow::new(host, host % 2 == 0, host > 2)).collect();
    let packets: Vec<Vec<u8>> = (0..40)
        .map(|i| {
            let flow = &mut flows[i % 4];
            let flags = if flow.udp { 0 } else { ACK };
            flow.packet(&[i as u8; 500], flags)
        })
        .collect();
    assert_eq!(run_sizes(&packets), [10, 10, 10, 10]);
}

#[test]
fn what_a_super_packet_cannot_say_ends_the_run() {
    type Change = (&'static str, fn(&mut Flow));
    let changes: [Change; 9] = [
        ("acknowledgement", |flow| flow.acknowledgement += 1),
        ("window", |flow| flow.window += 1),
        ("options", |flow| flow.options = vec![1, 1, 1, 1]),
        ("time to live", |flow| flow.ttl -= 1),
        ("traffic class", |flow| flow.tos = 3),
        ("a hole", |flow| flow.sequence = flow.sequence.wrapping_add(1)),
        ("a repetition", |flow| flow.sequence = flow.sequence.wrapping_sub(500)),
        ("don't-fragment", |flow| flow.dont_fragment = false),
        ("port", |flow| flow.port += 1),
    ];
    for (name, change) in changes {
        let mut flow = Flow::new(1, false, false);
        let mut packets = bulk(&mut flow, 3, 500);
        change(&mut flow);
        packets.extend(bulk(&mut flow, 3, 500));
        assert_eq!(run_sizes(&packets), [3, 3], "{name}");
    }
    let mut flow = Flow { dont_fragment: false, ..Flow::new(1, false, false) };
    let mut packets = bulk(&mut flow, 3, 500);
    flow.identification += 1;
    packets.extend(bulk(&mut flow, 3, 500));
    assert_eq!(run_sizes(&packets), [3, 3], "an identification that counts on when it may be fragmented");
}

#[test]
fn a_shorter_packet_or_one_with_psh_or_fin_is_the_last_of_its_run() {
    for (size, flags) in [(499, ACK), (500, ACK | PSH), (500, ACK | FIN), (1, ACK | FIN | PSH)] {
        let mut flow = Flow::new(1, true, false);
        let mut packets = bulk(&mut flow, 2, 500);
        packets.push(flow.packet(&vec![7; size], flags));
        packets.extend(bulk(&mut flow, 2, 500));
        assert_eq!(run_sizes(&packets), [3, 2]);
        assert_eq!(joined_and_split(&packets, false), packets);
    }
    let mut flow = Flow::new(1, true, false);
    let packets = [bulk(&mut flow, 1, 500), bulk(&mut flow, 1, 501)].concat();
    assert_eq!(run_sizes(&packets), [1, 1], "a longer one starts anew");
}

#[test]
fn syn_rst_urg_cwr_and_bare_acknowledgements_stay_alone_and_in_their_place() {
    for flags in [SYN | ACK, 4 | ACK, 32 | ACK, CWR | ACK, 0] {
        let mut flow = Flow::new(1, false, false);
        let mut packets = bulk(&mut flow, 2, 500);
        packets.push(flow.packet(&[7; 500], flags));
        packets.extend(bulk(&mut flow, 2, 500));
        assert_eq!(run_sizes(&packets), [2, 1, 2], "flags {flags}");
    }
    let mut flow = Flow::new(1, false, false);
    let mut packets = bulk(&mut flow, 2, 500);
    packets.push(flow.packet(&[], ACK));
    packets.extend(bulk(&mut flow, 2, 500));
    assert_eq!(run_sizes(&packets), [2, 1, 2]);
}

#[test]
fn a_packet_whose_checksum_does_not_fit_is_handed_on_alone_and_as_it_is() {
    for udp in [false, true] {
        for damaged in 0..4 {
            for at in [10, 27, 45, 300] {
                let mut flow = Flow::new(1, false, udp);
                let mut packets = bulk(&mut flow, 4, 500);
                packets[damaged][at] ^= 0x10;
                let after = joined_and_split(&packets, false);
                assert!(after.contains(&packets[damaged]), "{udp} {damaged} {at}");
                let (coalescer, runs) = coalesce(&packets, false, BOTH);
                assert!(runs.iter().all(|run| run.packets == 1 || !coalescer.packets(run).any(|i| i == damaged)));
                assert!(runs.iter().any(|run| run.packets > 1), "the others are still joined");
            }
        }
    }
    let mut flow = Flow::new(1, false, true);
    let mut packets = bulk(&mut flow, 3, 500);
    packets[1][26..28].fill(0);
    assert_eq!(run_sizes(&packets), [1, 1, 1], "UDP without a checksum proves nothing");
}

#[test]
fn nothing_passes_a_packet_that_may_be_of_its_flow() {
    let fragment = |flow: &mut Flow| {
        let mut packet = flow.packet(&[5; 100], ACK);
        packet[6] |= 0x20;
        packet
    };
    let options = |flow: &mut Flow| {
        let mut packet = flow.packet(&[5; 100], ACK);
        packet[0] = 0x46;
        packet
    };
    let icmp = |flow: &mut Flow| {
        let mut packet = flow.packet(&[5; 100], ACK);
        packet[9] = 1;
        packet
    };
    for strange in [fragment, options, icmp] {
        let mut flow = Flow::new(1, false, false);
        let mut packets = bulk(&mut flow, 2, 500);
        packets.push(strange(&mut flow));
        packets.extend(bulk(&mut flow, 2, 500));
        assert_eq!(run_sizes(&packets), [2, 1, 2]);
    }
}

#[test]
fn what_is_not_mergeable_stays_as_it_is() {
    let mut tcp = Flow::new(1, false, false);
    let mut udp = Flow::new(2, false, true);
    let packets = [bulk(&mut tcp, 3, 500), bulk(&mut udp, 3, 500)].concat();
    for (mergeable, wanted) in [
        (Mergeable { tcp: true, udp: false }, vec![3, 1, 1, 1]),
        (Mergeable { tcp: false, udp: true }, vec![1, 1, 1, 3]),
        (Mergeable { tcp: false, udp: false }, vec![1; 6]),
    ] {
        let sizes: Vec<usize> = coalesce(&packets, false, mergeable).1.iter().map(|run| run.packets).collect();
        assert_eq!(sizes, wanted);
    }
}

#[test]
fn a_super_packet_is_no_larger_than_an_ip_packet_and_has_no_more_packets_than_any_kernel_cuts() {
    let mut flow = Flow::new(1, false, false);
    assert_eq!(run_sizes(&bulk(&mut flow, 130, 100)), [64, 64, 2]);
    let mut flow = Flow::new(1, true, true);
    assert_eq!(run_sizes(&bulk(&mut flow, 16, 8000)), [8, 8]);
}

#[test]
fn ethernet_frames_are_joined_and_split_behind_their_header_and_tagged_ones_stay_alone() {
    let mut flow = Flow { ethernet: true, ..Flow::new(1, false, false) };
    let packets = bulk(&mut flow, 10, 1460);
    assert_eq!(coalesce(&packets, true, BOTH).1.len(), 1);
    assert_eq!(joined_and_split(&packets, true), packets);
    let tagged: Vec<Vec<u8>> =
        packets.iter().map(|frame| [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat()).collect();
    assert_eq!(coalesce(&tagged, true, BOTH).1.len(), 10);
    // The kernel does hand over tagged super-frames, if a VLAN device lies on the TAP.
    let (coalescer, runs) = coalesce(&packets, true, BOTH);
    let (mut header, frame) = piece(&coalescer, &runs[0], &packets);
    header.csum_start += 4;
    let frame = [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat();
    assert_eq!(split(&header, &frame, true), tagged);
}
