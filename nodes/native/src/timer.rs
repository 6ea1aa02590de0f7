//! A timer of the kernel in the event loop. Node's own count whole milliseconds; this one meets a deadline to some tens of microseconds
//! without turning the loop.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};

use napi::JsValue;
use napi::bindgen_prelude::{Env, FnArgs, Function};
use napi_derive::napi;

use crate::kernel_timer::KernelTimer;
use crate::poll::{Callback, Poll};
use crate::table::Table;

struct Timer {
    kernel: Rc<KernelTimer>,
    poll: Rc<Poll>,
}

thread_local! {
    static TIMERS: RefCell<Table<Timer>> = const { RefCell::new(Table::new()) };
}

/// Makes a timer that calls `on_time` when it fires; only while it is armed the process lives on for it. A handle, or a negative errno.
#[napi]
pub fn timer_open(env: Env, on_time: Function<FnArgs<(f64,)>, ()>) -> i32 {
    let Some(callback) = Callback::new(&env, on_time.raw()) else { return -libc::ENOMEM };
    let open = || {
        let kernel = Rc::new(KernelTimer::new()?);
        let poll = Rc::new(OnceCell::<Weak<Poll>>::new());
        let (own_kernel, own_poll) = (kernel.clone(), poll.clone());
        let handler = Box::new(move || {
            let expirations = own_kernel.take();
            if expirations == 0 {
                return;
            }
            if let Some(poll) = own_poll.get().and_then(Weak::upgrade) {
                poll.keep_alive(false);
            }
            callback.call(expirations as f64);
        });
        let started = Rc::new(Poll::start(&env, kernel.descriptor().clone(), handler)?);
        started.keep_alive(false);
        let _ = poll.set(Rc::downgrade(&started));
        TIMERS.with_borrow_mut(|timers| timers.add(Timer { kernel, poll: started })).ok_or(libc::EMFILE)
    };
    open().unwrap_or_else(|errno| -errno)
}

/// Fires once, `delay_ns` from now (at once if that is not positive); replaces an earlier deadline. Infinite or NaN = never. 0 or a negative errno.
#[napi]
pub fn timer_arm(timer: i32, delay_ns: f64) -> i32 {
    TIMERS.with_borrow(|timers| {
        let Some(timer) = timers.get(timer) else { return -libc::EBADF };
        let ns = if delay_ns.is_finite() { delay_ns.clamp(1.0, 9e15) as i64 } else { 0 };
        match timer.kernel.set(ns, 0) {
            Ok(()) => {
                timer.poll.keep_alive(ns != 0);
                0
            }
            Err(errno) => -errno,
        }
    })
}

/// Ends a timer; it does not fire any more.
#[napi]
pub fn timer_close(timer: i32) {
    let gone = TIMERS.with_borrow_mut(|timers| timers.remove(timer));
    drop(gone);
}
