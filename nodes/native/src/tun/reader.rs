//! From the kernel: packets, and super-packets cut to packets, into the caller's slab.

use std::rc::Rc;

use super::counters::*;
use super::offload::split::{Split, complete};
use super::offload::virtio::{GSO_NONE, VIRTIO_BYTES, VirtioHeader};
use crate::columns::{Columns, Doubles};
use crate::poll::Descriptor;

/// The largest IP packet with an Ethernet header and two VLAN tags. One byte more would show a packet that the kernel had to cut.
const PACKET_BYTES_MAX: usize = 65_535 + 14 + 8;
const BUFFER_BYTES: usize = VIRTIO_BYTES + PACKET_BYTES_MAX + 1;
/// Packets start on a word's border, because some consumers read by words.
const ALIGN_BYTES: usize = 4;
/// A packet that comes so long after one that came alone is handed over at once: asking for another would cost it a system call.
const LONE_NS: i64 = 50_000;

pub struct Reader {
    descriptor: Rc<Descriptor>,
    rx: Columns,
    counters: Rc<Doubles>,
    ethernet: bool,
    /// The part of the slab that packets are put into.
    from: usize,
    to: usize,
    /// Virtio header and packet as the kernel gave them.
    buffer: Box<[u8]>,
    /// A super-packet in `buffer` that is not wholly cut yet.
    pending: Option<Split>,
    /// When the last batch ended, and whether it was one packet that the kernel had not joined.
    last_ns: i64,
    last_lone: bool,
}

/// What a batch took.
#[derive(Default)]
struct Tally {
    packets: usize,
    bytes: usize,
    calls: usize,
    segmented: usize,
    drops: usize,
}

/// Why a batch ended.
#[derive(PartialEq, Eq)]
enum End {
    Full,
    Drained,
}

impl Reader {
    /// `None` if the part of the slab does not hold even one packet.
    pub fn new(
        descriptor: Rc<Descriptor>,
        rx: Columns,
        counters: Rc<Doubles>,
        ethernet: bool,
        from: usize,
        bytes: usize,
    ) -> Option<Self> {
        rx.slab.range(from, bytes)?;
        if rx.capacity == 0
            || rx.slot_bytes == 0
            || bytes < rx.slot_bytes
            || rx.start.len().min(rx.length.len()) < rx.capacity
        {
            return None;
        }
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Some(Reader {
            descriptor,
            rx,
            counters,
            ethernet,
            from,
            to: from + bytes,
            buffer,
            pending: None,
            last_ns: 0,
            last_lone: false,
        })
    }

    /// Whether packets of the last read are still to be handed over: the kernel will not say that they are there.
    pub fn has_rest(&self) -> bool {
        self.pending.is_some()
    }

    /// Fills the batch; returns how many packets are in it, and whether there may be more.
    pub fn fill(&mut self) -> (usize, bool) {
        let mut tally = Tally::default();
        let lone = self.last_lone && crate::monotonic_ns() - self.last_ns > LONE_NS;
        let end = self.read_all(lone, &mut tally);
        self.last_ns = crate::monotonic_ns();
        self.last_lone = tally.packets == 1 && tally.segmented == 0;
        let counters = &self.counters;
        counters.add(PACKETS_IN, tally.packets as f64);
        counters.add(BYTES_IN, tally.bytes as f64);
        counters.add(READ_CALLS, tally.calls as f64);
        counters.add(READS_SEGMENTED, tally.segmented as f64);
        counters.add(DROPS_IN, tally.drops as f64);
        (tally.packets, end == End::Full)
    }

    /// With `lone` it takes one packet, unless the kernel has joined several, and what else waits the next time: the kernel says so again.
    fn read_all(&mut self, lone: bool, tally: &mut Tally) -> End {
        let mut cursor = self.from;
        // What is dropped takes no place in the batch, so reads are counted too.
        let calls_max = 2 * self.rx.capacity;
        loop {
            if !self.cut(&mut cursor, tally) || self.is_full(cursor, tally) || tally.calls >= calls_max {
                return End::Full;
            }
            if lone && tally.packets > 0 && tally.segmented == 0 {
                return End::Drained;
            }
            let Some(length) = self.read() else { return End::Drained };
            tally.calls += 1;
            if !self.take(length, &mut cursor, tally) {
                tally.drops += 1;
            }
        }
    }

    /// Whether the next packet might find no room.
    fn is_full(&self, cursor: usize, tally: &Tally) -> bool {
        tally.packets == self.rx.capacity || self.to - cursor < self.rx.slot_bytes
    }

    /// One read; bytes behind the virtio header, or `None` if nothing waits or the device is gone.
    fn read(&mut self) -> Option<usize> {
        loop {
            // SAFETY: the kernel writes at most as many bytes as the buffer has.
            let length = unsafe {
                libc::read(self.descriptor.fd(), self.buffer.as_mut_ptr() as *mut libc::c_void, self.buffer.len())
            };
            if length >= 0 {
                return Some((length as usize).saturating_sub(VIRTIO_BYTES));
            }
            if crate::errno() != libc::EINTR {
                return None;
            }
        }
    }

    /// Puts the packet that was read into the batch, or begins to cut it; false if it is malformed or too long.
    fn take(&mut self, length: usize, cursor: &mut usize, tally: &mut Tally) -> bool {
        let Some((head, rest)) = self.buffer.split_first_chunk_mut::<VIRTIO_BYTES>() else { return false };
        let header = VirtioHeader::read(head);
        if length == 0 || length > PACKET_BYTES_MAX {
            return false;
        }
        let packet = &mut rest[..length];
        if header.gso_type != GSO_NONE {
            self.pending = Split::new(&header, packet, self.ethernet);
            tally.segmented += self.pending.is_some() as usize;
            return self.pending.is_some();
        }
        if length > self.rx.slot_bytes || !complete(&header, packet) {
            return false;
        }
        let Some(target) = self.rx.slab.slice(*cursor, length) else { return false };
        target.copy_from_slice(packet);
        self.commit(length, cursor, tally);
        true
    }

    /// Cuts the pending super-packet into the batch; false if it does not fit wholly.
    fn cut(&mut self, cursor: &mut usize, tally: &mut Tally) -> bool {
        let Some(mut split) = self.pending.take() else { return true };
        while let Some(length) = split.next_length() {
            if length > self.rx.slot_bytes {
                split.skip();
                tally.drops += 1;
                continue;
            }
            if self.is_full(*cursor, tally) {
                self.pending = Some(split);
                return false;
            }
            let Some(target) = self.rx.slab.slice(*cursor, length) else { return true };
            split.write(&self.buffer[VIRTIO_BYTES..], target);
            self.commit(length, cursor, tally);
        }
        true
    }

    fn commit(&self, length: usize, cursor: &mut usize, tally: &mut Tally) {
        self.rx.start.set(tally.packets, *cursor as u32);
        self.rx.length.set(tally.packets, length as i32);
        tally.packets += 1;
        tally.bytes += length;
        *cursor = self.to.min((*cursor + length).next_multiple_of(ALIGN_BYTES));
    }
}
