//! How runs are handed to a kernel that takes them, or does not.

use std::cell::RefCell;
use std::io::IoSlice;

use super::flow::*;
use super::pieces::*;
use crate::tun::offload::handover::{Outcome, write_run};
use crate::tun::offload::virtio::{GSO_NONE, VIRTIO_BYTES, VirtioHeader};

/// Writes a batch to a kernel that gives `answer` to each piece; what it was given, and what came of each run.
fn hand_over(packets: &[Vec<u8>], answer: impl Fn(&[u8]) -> Result<(), i32>) -> (Vec<Vec<u8>>, Vec<Outcome>) {
    let (coalescer, runs) = coalesce(packets, false, BOTH);
    let taken = RefCell::new(vec![]);
    let write = |slices: &[IoSlice]| {
        let piece: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        answer(&piece)?;
        taken.borrow_mut().push(piece);
        Ok(())
    };
    let outcomes = runs.iter().map(|run| write_run(&coalescer, run, |index| &packets[index][..], write)).collect();
    (taken.into_inner(), outcomes)
}

fn is_super(piece: &[u8]) -> bool {
    piece[1] != GSO_NONE
}

#[test]
fn a_run_is_one_write_and_a_single_packet_is_written_as_it_is_behind_an_empty_header() {
    let (mut a, mut b) = (Flow::new(1, false, false), Flow::new(2, true, true));
    let packets = [bulk(&mut a, 5, 700), bulk(&mut b, 1, 300)].concat();
    let (taken, outcomes) = hand_over(&packets, |_| Ok(()));
    let bytes = |range: std::ops::Range<usize>| packets[range].iter().map(Vec::len).sum();
    assert_eq!(
        outcomes,
        [
            Outcome { packets: 5, bytes: bytes(0..5), merged: true, refusal: None },
            Outcome { packets: 1, bytes: bytes(5..6), merged: false, refusal: None },
        ]
    );
    assert_eq!(taken[1], [&[0; VIRTIO_BYTES], &packets[5][..]].concat());
    let header = VirtioHeader::read(taken[0].first_chunk().unwrap());
    assert_eq!(split(&header, &taken[0][VIRTIO_BYTES..], false), packets[..5]);
}

#[test]
fn a_kernel_that_refuses_super_packets_gets_the_packets_one_by_one_and_its_reason_is_told() {
    for errno in [5, 22] {
        let packets = bulk(&mut Flow::new(1, false, true), 5, 700);
        let (taken, outcomes) = hand_over(&packets, |piece| if is_super(piece) { Err(errno) } else { Ok(()) });
        assert_eq!(taken.iter().map(|piece| piece[VIRTIO_BYTES..].to_vec()).collect::<Vec<_>>(), packets);
        let bytes = packets.iter().map(Vec::len).sum();
        assert_eq!(outcomes, [Outcome { packets: 5, bytes, merged: false, refusal: Some(errno) }]);
    }
}

#[test]
fn a_kernel_that_takes_nothing_now_does_not_lose_its_offloads() {
    for errno in [5, 11, 22, 77, 105] {
        let packets = bulk(&mut Flow::new(1, false, false), 5, 700);
        assert_eq!(hand_over(&packets, |_| Err(errno)), (vec![], vec![Outcome::default()]));
    }
    // A full queue is no reason to try the packets one by one: that would only fill it further.
    let packets = bulk(&mut Flow::new(1, false, false), 5, 700);
    let (taken, outcomes) = hand_over(&packets, |piece| if is_super(piece) { Err(11) } else { Ok(()) });
    assert_eq!((taken, outcomes), (vec![], vec![Outcome::default()]));
}
