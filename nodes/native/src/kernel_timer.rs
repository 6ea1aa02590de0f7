//! timerfd: a timer of the kernel that an event loop can watch.

use std::rc::Rc;

use libc::{c_int, c_void};

use crate::poll::Descriptor;

pub struct KernelTimer(Rc<Descriptor>);

impl KernelTimer {
    /// A timer that is not armed, or the errno.
    pub fn new() -> Result<Self, c_int> {
        // SAFETY: plain system call.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 { Err(crate::errno()) } else { Ok(KernelTimer(Descriptor::new(fd))) }
    }

    /// Readable when the timer has fired.
    pub fn descriptor(&self) -> &Rc<Descriptor> {
        &self.0
    }

    /// Fires `first_ns` from now and then each `every_ns` (0 = not again); replaces what was set. 0 and 0 = never.
    pub fn set(&self, first_ns: i64, every_ns: i64) -> Result<(), c_int> {
        let setting = libc::itimerspec { it_interval: timespec(every_ns), it_value: timespec(first_ns) };
        // SAFETY: a descriptor of ours and a valid setting; a closed one gives EBADF.
        let status = unsafe { libc::timerfd_settime(self.0.fd(), 0, &setting, std::ptr::null_mut()) };
        if status == 0 { Ok(()) } else { Err(crate::errno()) }
    }

    /// How often it has fired since this was last asked.
    pub fn take(&self) -> u64 {
        let mut expirations = 0u64;
        // SAFETY: reads eight bytes into eight bytes.
        let read = unsafe { libc::read(self.0.fd(), &mut expirations as *mut u64 as *mut c_void, 8) };
        if read == 8 { expirations } else { 0 }
    }
}

fn timespec(ns: i64) -> libc::timespec {
    libc::timespec { tv_sec: ns / 1_000_000_000, tv_nsec: ns % 1_000_000_000 }
}
