//! To the kernel: a batch as few super-packets, each written from where its parts lie in the caller's slab.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::rc::Rc;

use libc::{c_int, iovec};

use super::counters::*;
use super::offload::coalesce::{Coalescer, Mergeable};
use super::offload::handover::write_run;
use crate::columns::{Columns, Doubles};
use crate::poll::Descriptor;

pub struct Writer {
    descriptor: Rc<Descriptor>,
    tx: Columns,
    counters: Rc<Doubles>,
    /// Longest packet that the interface takes.
    length_max: usize,
    mergeable: Cell<Mergeable>,
    coalescer: RefCell<Coalescer>,
}

impl Writer {
    pub fn new(
        descriptor: Rc<Descriptor>,
        tx: Columns,
        counters: Rc<Doubles>,
        ethernet: bool,
        length_max: usize,
        mergeable: Mergeable,
    ) -> Self {
        let coalescer = RefCell::new(Coalescer::new(tx.capacity, ethernet));
        let writer = Writer { descriptor, tx, counters, length_max, mergeable: Cell::new(mergeable), coalescer };
        writer.show_offloads();
        writer
    }

    /// Writes the first `count` slots; returns how many the kernel took, the others are counted as dropped.
    pub fn send(&self, count: usize) -> usize {
        let count = count.min(self.tx.capacity);
        let Ok(mut coalescer) = self.coalescer.try_borrow_mut() else { return 0 };
        coalescer.clear();
        for index in 0..count {
            if !self.packet(index).is_empty() {
                coalescer.add(index, |index| self.packet(index), self.mergeable.get());
            }
        }
        let (mut taken, mut bytes, mut merged) = (0, 0, 0);
        for run in coalescer.runs() {
            let outcome = write_run(&coalescer, run, |index| self.packet(index), |slices| self.write(slices));
            taken += outcome.packets;
            bytes += outcome.bytes;
            merged += usize::from(outcome.merged);
            if let Some(errno) = outcome.refusal {
                self.switch_off(run.is_udp(), errno);
            }
        }
        self.counters.add(PACKETS_OUT, taken as f64);
        self.counters.add(BYTES_OUT, bytes as f64);
        self.counters.add(DROPS_OUT, (count - taken) as f64);
        self.counters.add(WRITES_COALESCED, merged as f64);
        taken
    }

    /// The bytes of slot `index`; none if they do not lie in the slab or are too many.
    #[inline(always)]
    fn packet(&self, index: usize) -> &[u8] {
        let length = usize::try_from(self.tx.length.get(index)).unwrap_or(0);
        if length > self.length_max {
            return &[];
        }
        match self.tx.slab.range(self.tx.start.get(index) as usize, length) {
            // SAFETY: inside the slab, which nobody writes to while this runs.
            Some(start) => unsafe { std::slice::from_raw_parts(start, length) },
            None => &[],
        }
    }

    fn write(&self, slices: &[IoSlice]) -> Result<(), c_int> {
        loop {
            // SAFETY: an IoSlice is an iovec; all lie in memory that stays where it is during the call, which only reads them.
            let length =
                unsafe { libc::writev(self.descriptor.fd(), slices.as_ptr() as *const iovec, slices.len() as c_int) };
            if length >= 0 {
                self.counters.add(WRITE_CALLS, 1.0);
                return Ok(());
            }
            match crate::errno() {
                libc::EINTR => continue,
                errno => return Err(errno),
            }
        }
    }

    /// For good: what this kernel refused once it will refuse again. What is read stays as it is.
    fn switch_off(&self, udp: bool, errno: c_int) {
        let mergeable = self.mergeable.get();
        self.mergeable.set(if udp {
            Mergeable { udp: false, ..mergeable }
        } else {
            Mergeable { tcp: false, ..mergeable }
        });
        self.counters.add(OFFLOAD_ERRORS, 1.0);
        self.counters.set(OFFLOAD_ERRNO, f64::from(errno));
        self.show_offloads();
    }

    fn show_offloads(&self) {
        let Mergeable { tcp, udp } = self.mergeable.get();
        self.counters.set(TSO_ON, f64::from(u8::from(tcp)));
        self.counters.set(USO_ON, f64::from(u8::from(udp)));
    }
}
