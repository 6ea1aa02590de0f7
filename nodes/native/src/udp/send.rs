//! The sending half: a batch becomes as few messages as its peers and sizes allow (UDP GSO), and one sendmmsg.

use std::cell::Cell;
use std::rc::Rc;

use libc::{c_int, c_void, iovec, mmsghdr};

use super::address::{self, Address};
use super::counters::*;
use crate::columns::{Columns, Doubles};
use crate::poll::Descriptor;

/// UDP_MAX_SEGMENTS of the kernel before 6.9; later ones take more.
const SEGMENTS_MAX: usize = 64;
/// Largest UDP payload over IPv4, which bounds a message before it is cut.
const MESSAGE_BYTES_MAX: usize = 65_507;
const CONTROL_BYTES: usize = 64;
/// After so many refusals in a row that may have other reasons, the offload is taken not to work.
const REFUSALS_MAX: u32 = 64;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// Slots `first` to `first + count - 1` in one message; `count` above one = cut by the kernel.
#[derive(Clone, Copy)]
struct Run {
    first: usize,
    count: usize,
    bytes: usize,
}

pub struct Sender {
    descriptor: Rc<Descriptor>,
    tx: Columns,
    counters: Rc<Doubles>,
    family: c_int,
    gso: Cell<bool>,
    /// Messages that were refused since one was taken.
    refusals: Cell<u32>,
    scratch: Cell<Option<Box<Scratch>>>,
}

/// Memory for the system call, as long as a batch.
struct Scratch {
    runs: Vec<Run>,
    headers: Vec<mmsghdr>,
    names: Vec<Address>,
    controls: Vec<Control>,
    vectors: Vec<iovec>,
}

impl Scratch {
    fn new(capacity: usize) -> Box<Self> {
        Box::new(Scratch {
            runs: Vec::with_capacity(capacity),
            headers: Vec::with_capacity(capacity),
            names: vec![Address::zero(); capacity],
            controls: vec![Control([0; CONTROL_BYTES]); capacity],
            vectors: Vec::with_capacity(capacity),
        })
    }
}

impl Sender {
    pub fn new(descriptor: Rc<Descriptor>, tx: Columns, counters: Rc<Doubles>, family: c_int, gso: bool) -> Self {
        let scratch = Cell::new(Some(Scratch::new(tx.capacity)));
        counters.set(GSO_ON, gso as u8 as f64);
        Sender { descriptor, tx, counters, family, gso: Cell::new(gso), refusals: Cell::new(0), scratch }
    }

    /// Sends the first `count` slots; returns how many the kernel took, the others are counted as dropped.
    pub fn send(&self, count: usize) -> usize {
        let count = count.min(self.tx.capacity);
        let Some(mut scratch) = self.scratch.take() else { return 0 };
        let (mut taken, mut bytes) = (0, 0);
        self.plan(&mut scratch, 0, count, 0);
        self.prepare(&mut scratch);
        let mut done = 0;
        while done < scratch.runs.len() {
            match self.call(&mut scratch, done) {
                Ok(sent) => {
                    for run in &scratch.runs[done..done + sent] {
                        taken += run.count;
                        bytes += run.bytes;
                        if run.count > 1 {
                            self.counters.add(MESSAGES_SEGMENTED, 1.0);
                            self.refusals.set(0);
                        }
                    }
                    done += sent;
                }
                Err(errno) => {
                    let run = scratch.runs[done];
                    if run.count > 1 && self.blames_offload(errno) {
                        // Its datagrams go one by one, and those behind them as they may.
                        self.plan(&mut scratch, run.first, count, run.first + run.count);
                        self.prepare(&mut scratch);
                        done = 0;
                    } else {
                        // Buffer full, no route, forbidden, too long: this message is lost, the next may leave.
                        done += 1;
                    }
                }
            }
        }
        self.scratch.set(Some(scratch));
        self.counters.add(PACKETS_OUT, taken as f64);
        self.counters.add(BYTES_OUT, bytes as f64);
        if taken < count {
            self.counters.add(DROPS_OUT, (count - taken) as f64);
        }
        taken
    }

    /// Whether a message of several datagrams was refused because it was one. A device that cannot cut messages refuses them all: then no
    /// more are made. Datagrams above the MTU of their way are refused in one message and fragmented one by one: that says nothing of others.
    fn blames_offload(&self, errno: c_int) -> bool {
        let refusals = match errno {
            libc::EIO | libc::EOPNOTSUPP => REFUSALS_MAX,
            libc::EINVAL | libc::EMSGSIZE => self.refusals.get() + 1,
            _ => return false,
        };
        self.refusals.set(refusals);
        self.counters.set(OFFLOAD_ERRNO, f64::from(errno));
        if refusals >= REFUSALS_MAX && self.gso.replace(false) {
            self.counters.set(GSO_ON, 0.0);
            self.counters.add(OFFLOAD_ERRORS, 1.0);
        }
        true
    }

    /// Divides slots `first` to `end - 1` into runs; those before `single` go one by one. Slots that cannot be sent at all are in none.
    fn plan(&self, scratch: &mut Scratch, first: usize, end: usize, single: usize) {
        let gso = self.gso.get();
        scratch.runs.clear();
        let mut index = first;
        while index < end {
            let Some(bytes) = self.sendable(index) else {
                index += 1;
                continue;
            };
            let mut run = Run { first: index, count: 1, bytes };
            if gso && bytes > 0 && index >= single {
                while run.count < SEGMENTS_MAX && index + run.count < end {
                    let next = index + run.count;
                    let Some(size) = self.sendable(next) else { break };
                    if size > bytes || size == 0 || run.bytes + size > MESSAGE_BYTES_MAX || !self.same_peer(index, next)
                    {
                        break;
                    }
                    run.count += 1;
                    run.bytes += size;
                    if size < bytes {
                        break;
                    }
                }
            }
            index += run.count;
            scratch.runs.push(run);
        }
    }

    /// Bytes of slot `index`, if they lie in the slab, fit a slot and have somewhere to go.
    #[inline(always)]
    fn sendable(&self, index: usize) -> Option<usize> {
        let length = usize::try_from(self.tx.length.get(index)).ok()?;
        let fits = length <= self.tx.slot_bytes && self.tx.port.get(index) != 0;
        (fits && self.tx.slab.range(self.tx.start.get(index) as usize, length).is_some()).then_some(length)
    }

    #[inline(always)]
    fn same_peer(&self, a: usize, b: usize) -> bool {
        let tx = &self.tx;
        tx.port.get(a) == tx.port.get(b)
            && tx.address.get(a * 4 + 3) == tx.address.get(b * 4 + 3)
            && tx.address.get(a * 4 + 2) == tx.address.get(b * 4 + 2)
            && tx.address.get(a * 4 + 1) == tx.address.get(b * 4 + 1)
            && tx.address.get(a * 4) == tx.address.get(b * 4)
            && tx.ecn.get(a) == tx.ecn.get(b)
    }

    /// Writes headers, addresses and vectors for all runs. Slots that lie one behind the other share a vector.
    fn prepare(&self, scratch: &mut Scratch) {
        let tx = &self.tx;
        scratch.headers.clear();
        scratch.vectors.clear();
        for (number, run) in scratch.runs.iter().enumerate() {
            let first_vector = scratch.vectors.len();
            let mut end: *mut u8 = std::ptr::null_mut();
            for index in run.first..run.first + run.count {
                let length = tx.length.get(index) as usize;
                let Some(base) = tx.slab.range(tx.start.get(index) as usize, length) else { continue };
                match scratch.vectors.last_mut() {
                    Some(last) if end == base => last.iov_len += length,
                    _ => scratch.vectors.push(iovec { iov_base: base as *mut c_void, iov_len: length }),
                }
                end = base.wrapping_add(length);
            }
            // SAFETY: all-zero bytes are a valid header. The vectors never outgrow their capacity of one for each slot, so they stay where they are.
            let mut header: mmsghdr = unsafe { std::mem::zeroed() };
            let at = run.first * 4;
            let words = [tx.address.get(at), tx.address.get(at + 1), tx.address.get(at + 2), tx.address.get(at + 3)];
            let name = &mut scratch.names[number];
            header.msg_hdr.msg_namelen = address::put(name, self.family, words, tx.port.get(run.first));
            header.msg_hdr.msg_name = name as *mut Address as *mut c_void;
            header.msg_hdr.msg_iov = scratch.vectors.as_mut_ptr().wrapping_add(first_vector);
            header.msg_hdr.msg_iovlen = (scratch.vectors.len() - first_vector) as _;
            let segment = if run.count > 1 { tx.length.get(run.first) as u16 } else { 0 };
            let v4 = address::is_v4(words);
            put_control(&mut header.msg_hdr, &mut scratch.controls[number], segment, tx.ecn.get(run.first) & 3, v4);
            scratch.headers.push(header);
        }
    }

    /// Sends the messages from `first` on; how many left, or the errno of the first.
    fn call(&self, scratch: &mut Scratch, first: usize) -> Result<usize, c_int> {
        let rest = &mut scratch.headers[first..];
        if rest[0].msg_hdr.msg_namelen == 0 {
            return Err(libc::EAFNOSUPPORT);
        }
        loop {
            // SAFETY: every header points to memory that stays where it is during the call.
            let sent = unsafe {
                libc::sendmmsg(self.descriptor.fd(), rest.as_mut_ptr(), rest.len() as u32, libc::MSG_DONTWAIT as _)
            };
            if sent > 0 {
                self.counters.add(SEND_CALLS, 1.0);
                return Ok(sent as usize);
            }
            match crate::errno() {
                libc::EINTR => continue,
                errno => return Err(errno),
            }
        }
    }
}

fn put_control(header: &mut libc::msghdr, control: &mut Control, segment: u16, ecn: u8, v4: bool) {
    if segment == 0 && ecn == 0 {
        return;
    }
    header.msg_control = control as *mut Control as *mut c_void;
    header.msg_controllen = CONTROL_BYTES as _;
    let mut used = 0;
    // SAFETY: CONTROL_BYTES is room for both messages; each is written within it.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        if segment != 0 {
            (*at).cmsg_level = libc::SOL_UDP;
            (*at).cmsg_type = libc::UDP_SEGMENT;
            (*at).cmsg_len = libc::CMSG_LEN(2) as _;
            (libc::CMSG_DATA(at) as *mut u16).write_unaligned(segment);
            used += libc::CMSG_SPACE(2);
            at = (control as *mut Control as *mut u8).add(used as usize) as *mut libc::cmsghdr;
        }
        if ecn != 0 {
            (*at).cmsg_level = if v4 { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
            (*at).cmsg_type = if v4 { libc::IP_TOS } else { libc::IPV6_TCLASS };
            (*at).cmsg_len = libc::CMSG_LEN(4) as _;
            (libc::CMSG_DATA(at) as *mut c_int).write_unaligned(c_int::from(ecn));
            used += libc::CMSG_SPACE(4);
        }
    }
    header.msg_controllen = used as _;
}
