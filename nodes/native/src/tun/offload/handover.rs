//! Runs to the kernel, each in one call, from where its parts lie. A kernel that refuses a super-packet gets its packets one by one.

use std::io::IoSlice;

use super::coalesce::{Coalescer, RUN_PACKETS_MAX, Run, SUPER_HEADERS_BYTES};
use super::virtio::VIRTIO_BYTES;

/// The header of a packet that is what it seems.
static PLAIN: [u8; VIRTIO_BYTES] = [0; VIRTIO_BYTES];

/// The answers of a kernel that may have taken offence at the super-packet itself.
const EIO: i32 = 5;
const EINVAL: i32 = 22;

/// What became of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the kernel took.
    pub packets: usize,
    pub bytes: usize,
    /// Whether it took several packets in one piece.
    pub merged: bool,
    /// Why it takes no such super-packets, though it takes their packets.
    pub refusal: Option<i32>,
}

/// Writes one run. `packet` gives the bytes of each packet of the batch; `write` hands one piece to the kernel or says why not (errno).
pub fn write_run<'a>(
    coalescer: &Coalescer,
    run: &Run,
    packet: impl Fn(usize) -> &'a [u8],
    write: impl Fn(&[IoSlice]) -> Result<(), i32>,
) -> Outcome {
    if run.packets == 1 {
        return write_each(coalescer, run, packet, write);
    }
    match write_merged(coalescer, run, &packet, &write) {
        Ok(outcome) => outcome,
        // Either the kernel takes nothing now (the interface is down), or no super-packets: the packets one by one tell which.
        Err(errno @ (EIO | EINVAL)) => {
            let outcome = write_each(coalescer, run, packet, write);
            Outcome { refusal: (outcome.packets > 0).then_some(errno), ..outcome }
        }
        Err(_) => Outcome::default(),
    }
}

fn write_merged<'a>(
    coalescer: &Coalescer,
    run: &Run,
    packet: impl Fn(usize) -> &'a [u8],
    write: impl Fn(&[IoSlice]) -> Result<(), i32>,
) -> Result<Outcome, i32> {
    let mut headers = [0; SUPER_HEADERS_BYTES];
    let mut slices = [IoSlice::new(&[]); 1 + RUN_PACKETS_MAX];
    let mut bytes = 0;
    let mut first = None;
    for (slice, index) in slices[1..].iter_mut().zip(coalescer.packets(run)) {
        let packet = packet(index);
        first = first.or(Some(packet));
        bytes += packet.len();
        *slice = IoSlice::new(packet.get(run.header_bytes()..).unwrap_or(&[]));
    }
    let length = coalescer.write_headers(run, first.unwrap_or(&[]), &mut headers);
    slices[0] = IoSlice::new(&headers[..length]);
    write(&slices[..1 + run.packets])?;
    Ok(Outcome { packets: run.packets, bytes, merged: true, refusal: None })
}

fn write_each<'a>(
    coalescer: &Coalescer,
    run: &Run,
    packet: impl Fn(usize) -> &'a [u8],
    write: impl Fn(&[IoSlice]) -> Result<(), i32>,
) -> Outcome {
    let mut outcome = Outcome::default();
    for index in coalescer.packets(run) {
        let packet = packet(index);
        if write(&[IoSlice::new(&PLAIN), IoSlice::new(packet)]).is_ok() {
            outcome.packets += 1;
            outcome.bytes += packet.len();
        }
    }
    outcome
}
