//! A timer of the kernel in the event loop. Node's own count whole milliseconds; this one meets a deadline to some tens of microseconds
//! without turning the loop.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};

use napi::JsValue;
use napi::bindgen_prelude::{Env, FnArgs, Function};
use napi_derive::napi;

use crate::poll::{Callback, Descriptor, Poll};
use crate::table::Table;

struct Timer {
    descriptor: Rc<Descriptor>,
    poll: Rc<Poll>,
}

thread_local! {
    static TIMERS: RefCell<Table<Timer>> = const { RefCell::new(Table::new()) };
}

/// Makes a timer that calls `on_time` when it fires; only while it is armed the process lives on for it. A handle, or a negative errno.
#[napi]
pub fn timer_open(env: Env, on_time: Function<FnArgs<(f64,)>, ()>) -> i32 {
    // SAFETY: plain system call.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
    if fd < 0 {
        return -crate::errno();
    }
    let descriptor = Descriptor::new(fd);
    let Some(callback) = Callback::new(&env, on_time.raw()) else { return -libc::ENOMEM };
    let poll = Rc::new(OnceCell::<Weak<Poll>>::new());
    let (polled, own) = (descriptor.clone(), poll.clone());
    let handler = Box::new(move || {
        let mut expirations = 0u64;
        // SAFETY: reads eight bytes into eight bytes.
        let read = unsafe { libc::read(polled.fd(), &mut expirations as *mut u64 as *mut libc::c_void, 8) };
        if read != 8 {
            return;
        }
        if let Some(poll) = own.get().and_then(Weak::upgrade) {
            poll.keep_alive(false);
        }
        callback.call(expirations as f64);
    });
    match Poll::start(&env, descriptor.clone(), handler) {
        Ok(started) => {
            started.keep_alive(false);
            let timer = Timer { descriptor, poll: Rc::new(started) };
            let _ = poll.set(Rc::downgrade(&timer.poll));
            TIMERS.with_borrow_mut(|timers| timers.add(timer)).unwrap_or(-libc::EMFILE)
        }
        Err(errno) => -errno,
    }
}

/// Fires once, `delay_ns` from now (at once if that is not positive); replaces an earlier deadline. Infinite or NaN = never. 0 or a negative errno.
#[napi]
pub fn timer_arm(timer: i32, delay_ns: f64) -> i32 {
    TIMERS.with_borrow(|timers| {
        let Some(timer) = timers.get(timer) else { return -libc::EBADF };
        let ns = if delay_ns.is_finite() { delay_ns.clamp(1.0, 9e15) as i64 } else { 0 };
        let value = libc::timespec { tv_sec: ns / 1_000_000_000, tv_nsec: ns % 1_000_000_000 };
        let setting = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // SAFETY: a descriptor of ours and a valid setting; a closed one gives EBADF.
        match unsafe { libc::timerfd_settime(timer.descriptor.fd(), 0, &setting, std::ptr::null_mut()) } {
            0 => {
                timer.poll.keep_alive(ns != 0);
                0
            }
            _ => -crate::errno(),
        }
    })
}

/// Ends a timer; it does not fire any more.
#[napi]
pub fn timer_close(timer: i32) {
    let gone = TIMERS.with_borrow_mut(|timers| timers.remove(timer));
    drop(gone);
}
