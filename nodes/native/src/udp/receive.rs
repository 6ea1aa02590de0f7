//! The receiving half: one recvmmsg fills the caller's slab, GRO messages are told apart into datagrams without moving a byte.

use std::rc::Rc;

use libc::{c_int, c_void, iovec, mmsghdr, socklen_t};
use napi_derive::napi;

use super::address::{self, Address};
use super::counters::*;
use crate::columns::{Columns, Doubles};
use crate::poll::Descriptor;

/// Most messages of one system call.
const MESSAGES_MAX: usize = 64;
/// Room for one coalesced message. Not a round number, so that the messages' first bytes do not compete for the same lines of the cache.
#[napi]
pub const UDP_MESSAGE_BYTES: u32 = 65_536 + 832;
pub const MESSAGE_BYTES: usize = UDP_MESSAGE_BYTES as usize;
/// Room for the control messages that we ask for: segment size, ECN (two families), time.
const CONTROL_BYTES: usize = 128;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// What the control messages of one message say.
struct Notes {
    segment: usize,
    ecn: u8,
    arrived_ns: Option<f64>,
}

/// A message whose datagrams did not all fit into the last batch.
struct Rest {
    message: usize,
    at: usize,
}

pub struct Receiver {
    descriptor: Rc<Descriptor>,
    pub rx: Rc<Columns>,
    counters: Rc<Doubles>,
    waited: Rc<Doubles>,
    from: usize,
    stride: usize,
    headers: Box<[mmsghdr]>,
    // The kernel writes into these through pointers in `headers`.
    names: Box<[Address]>,
    controls: Box<[Control]>,
    _vectors: Box<[iovec]>,
    /// Messages of the last call, and the first one not yet handed over.
    received: usize,
    rest: Option<Rest>,
}

impl Receiver {
    /// `None` if the room in the slab holds not even one message.
    pub fn new(
        descriptor: Rc<Descriptor>,
        rx: Rc<Columns>,
        counters: Rc<Doubles>,
        waited: Rc<Doubles>,
        from: usize,
        bytes: usize,
        gro: bool,
    ) -> Option<Self> {
        let stride = if gro { MESSAGE_BYTES } else { rx.slot_bytes };
        let count = bytes.checked_div(stride)?.min(MESSAGES_MAX);
        if count == 0 || rx.capacity == 0 {
            return None;
        }
        let mut names = vec![Address::zero(); count].into_boxed_slice();
        let mut controls = vec![Control([0; CONTROL_BYTES]); count].into_boxed_slice();
        let mut vectors = Vec::with_capacity(count);
        for index in 0..count {
            let base = rx.slab.range(from + index * stride, stride)?;
            vectors.push(iovec { iov_base: base as *mut c_void, iov_len: stride.min(65_535) });
        }
        let mut vectors = vectors.into_boxed_slice();
        let headers = (0..count)
            .map(|index| {
                // SAFETY: all-zero bytes are a valid header; every pointer is to memory that lives as long as the receiver.
                let mut header: mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_name = &raw mut names[index] as *mut c_void;
                header.msg_hdr.msg_iov = &raw mut vectors[index];
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_control = &raw mut controls[index] as *mut c_void;
                header.msg_hdr.msg_namelen = size_of::<Address>() as socklen_t;
                header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
                header
            })
            .collect();
        Some(Receiver {
            descriptor,
            rx,
            counters,
            waited,
            from,
            stride,
            headers,
            names,
            controls,
            _vectors: vectors,
            received: 0,
            rest: None,
        })
    }

    /// Whether datagrams of the last call are still to be handed over: the kernel will not say that they are there.
    pub fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// Fills the batch from what waits: a rest of the last call, else one more call. Returns the datagrams in the batch, and whether
    /// there may be more.
    pub fn fill(&mut self) -> (usize, bool) {
        let Rest { message, at } = match self.rest.take() {
            Some(rest) => rest,
            None => match self.call() {
                0 => return (0, false),
                received => {
                    self.received = received;
                    Rest { message: 0, at: 0 }
                }
            },
        };
        let count = self.hand_over(message, at);
        (count, self.rest.is_some() || self.received == self.headers.len())
    }

    /// Messages received, 0 if nothing waits.
    fn call(&mut self) -> usize {
        // The kernel has changed those that it filled the last time, and touching all costs a datagram that comes alone more than the rest does.
        for header in self.headers.iter_mut().take(self.received) {
            header.msg_hdr.msg_namelen = size_of::<Address>() as socklen_t;
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
        }
        loop {
            // SAFETY: the headers point to memory of ours and of the caller's slab that stays where it is.
            let received = unsafe {
                libc::recvmmsg(
                    self.descriptor.fd(),
                    self.headers.as_mut_ptr(),
                    self.headers.len() as u32,
                    libc::MSG_DONTWAIT as _,
                    std::ptr::null_mut(),
                )
            };
            if received > 0 {
                self.counters.add(RECEIVE_CALLS, 1.0);
                return received as usize;
            }
            // An error of an earlier datagram may be told here; it says nothing about what waits.
            if received == 0 || crate::errno() != libc::EINTR {
                self.received = 0;
                return 0;
            }
        }
    }

    /// Puts the datagrams of the received messages, from `at` of `message` on, into the columns.
    fn hand_over(&mut self, mut message: usize, mut at: usize) -> usize {
        let rx = self.rx.clone();
        let mut count = 0;
        let mut bytes = 0;
        let mut dropped = 0;
        let mut now_ns = 0.0;
        'messages: while message < self.received {
            let length = self.headers[message].msg_len as usize;
            let notes = self.notes(message);
            let cut = self.headers[message].msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            let segment = if notes.segment == 0 { length } else { notes.segment };
            if cut || segment > rx.slot_bytes {
                dropped += if segment == 0 { 1 } else { length.div_ceil(segment) };
            } else {
                if at == 0 && segment < length {
                    self.counters.add(MESSAGES_COALESCED, 1.0);
                }
                let waited = match notes.arrived_ns {
                    None => 0.0,
                    Some(arrived) => {
                        if now_ns == 0.0 {
                            now_ns = realtime_ns();
                        }
                        now_ns - arrived
                    }
                };
                let (words, port) = address::take(&self.names[message]);
                let start = self.from + message * self.stride;
                loop {
                    if count == rx.capacity {
                        self.rest = Some(Rest { message, at });
                        break 'messages;
                    }
                    let size = segment.min(length - at);
                    rx.start.set(count, (start + at) as u32);
                    rx.length.set(count, size as i32);
                    rx.address.set(count * 4, words[0]);
                    rx.address.set(count * 4 + 1, words[1]);
                    rx.address.set(count * 4 + 2, words[2]);
                    rx.address.set(count * 4 + 3, words[3]);
                    rx.port.set(count, port);
                    rx.ecn.set(count, notes.ecn);
                    if self.waited.len() > 0 {
                        self.waited.set(count, waited);
                    }
                    count += 1;
                    at += size;
                    bytes += size;
                    if at >= length {
                        break;
                    }
                }
            }
            message += 1;
            at = 0;
        }
        self.counters.add(PACKETS_IN, count as f64);
        self.counters.add(BYTES_IN, bytes as f64);
        if dropped > 0 {
            self.counters.add(DROPS_IN, dropped as f64);
        }
        count
    }

    fn notes(&self, message: usize) -> Notes {
        let mut notes = Notes { segment: 0, ecn: 0, arrived_ns: None };
        let header = &self.headers[message].msg_hdr;
        // SAFETY: the kernel wrote `msg_controllen` bytes of well-formed control messages into `controls[message]`.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(header);
            while let Some(head) = control.as_ref() {
                let data = libc::CMSG_DATA(control);
                match (head.cmsg_level, head.cmsg_type) {
                    (libc::SOL_UDP, libc::UDP_GRO) => {
                        notes.segment = (data as *const c_int).read_unaligned().max(0) as usize
                    }
                    (libc::IPPROTO_IP, libc::IP_TOS) => notes.ecn = data.read() & 3,
                    (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                        notes.ecn = (data as *const c_int).read_unaligned() as u8 & 3
                    }
                    (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                        let time = (data as *const libc::timespec).read_unaligned();
                        notes.arrived_ns = Some(time.tv_sec as f64 * 1e9 + time.tv_nsec as f64);
                    }
                    _ => {}
                }
                control = libc::CMSG_NXTHDR(header, control);
            }
        }
        debug_assert!(self.controls.len() > message);
        notes
    }
}

fn realtime_ns() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time into `time`.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
