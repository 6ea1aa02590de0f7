//! What becomes of a batch: the pieces that the kernel would be handed, and what it would cut them to.

use crate::tun::offload::coalesce::{Coalescer, Mergeable, Run, SUPER_HEADERS_BYTES};
use crate::tun::offload::split::Split;
use crate::tun::offload::virtio::{GSO_NONE, VIRTIO_BYTES, VirtioHeader};

pub const BOTH: Mergeable = Mergeable { tcp: true, udp: true };

pub fn coalesce(packets: &[Vec<u8>], ethernet: bool, mergeable: Mergeable) -> (Coalescer, Vec<Run>) {
    let mut coalescer = Coalescer::new(packets.len(), ethernet);
    for index in 0..packets.len() {
        coalescer.add(index, |i| &packets[i], mergeable);
    }
    let runs = coalescer.runs().to_vec();
    (coalescer, runs)
}

/// What would be written for a run: header and bytes.
pub fn piece(coalescer: &Coalescer, run: &Run, packets: &[Vec<u8>]) -> (VirtioHeader, Vec<u8>) {
    let indices: Vec<usize> = coalescer.packets(run).collect();
    assert_eq!(indices.len(), run.packets);
    if run.packets == 1 {
        return (VirtioHeader::default(), packets[indices[0]].clone());
    }
    let mut headers = [0u8; SUPER_HEADERS_BYTES];
    let length = coalescer.write_headers(run, &packets[indices[0]], &mut headers);
    let mut bytes = headers[VIRTIO_BYTES..length].to_vec();
    for index in indices {
        bytes.extend_from_slice(&packets[index][run.header_bytes()..]);
    }
    assert_eq!(bytes.len(), run.bytes);
    (VirtioHeader::read(headers.first_chunk().unwrap()), bytes)
}

pub fn split(header: &VirtioHeader, bytes: &[u8], ethernet: bool) -> Vec<Vec<u8>> {
    if header.gso_type == GSO_NONE {
        return vec![bytes.to_vec()];
    }
    let mut split = Split::new(header, bytes, ethernet).expect("a sound super-packet");
    let mut segments = vec![];
    while let Some(length) = split.next_length() {
        let mut segment = vec![0xaa; length];
        split.write(bytes, &mut segment);
        segments.push(segment);
    }
    segments
}

pub fn joined_and_split(packets: &[Vec<u8>], ethernet: bool) -> Vec<Vec<u8>> {
    let (coalescer, runs) = coalesce(packets, ethernet, BOTH);
    runs.iter()
        .flat_map(|run| {
            let (header, bytes) = piece(&coalescer, run, packets);
            split(&header, &bytes, ethernet)
        })
        .collect()
}

pub fn run_sizes(packets: &[Vec<u8>]) -> Vec<usize> {
    coalesce(packets, false, BOTH).1.iter().map(|run| run.packets).collect()
}
