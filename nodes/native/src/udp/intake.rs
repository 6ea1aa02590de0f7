//! When a socket is read: as soon as the kernel says that something waits. Under a dense stream of single datagrams that is one wake-up for
//! each, which costs several times what receiving it does; then the socket is read by a timer until the stream thins out, as network cards
//! moderate their interrupts.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};

use libc::c_int;
use napi::bindgen_prelude::Env;

use super::counters::WAKES_PACED;
use super::receive::Receiver;
use crate::columns::Doubles;
use crate::kernel_timer::KernelTimer;
use crate::poll::{Callback, Descriptor, Poll};

/// System calls in one turn of the event loop at most; then timers and other sockets have theirs.
const CALLS_PER_TURN: usize = 8;

/// Wake-ups this close together that bring this little, so many in a row, are paced.
const DENSE_NS: i64 = 25_000;
const FEW: usize = 4;
const DENSE_WAKES: u32 = 64;
/// What a datagram waits at most while wake-ups are paced.
const PACE_NS: i64 = 100_000;
/// So many ticks in a row that bring less than the one or as much as the other end it. A stream as thick as that fills batches by itself,
/// and a sender on the same host that waits for room in its buffer must not wait for a tick.
const THIN: usize = 2;
const THICK: usize = 64;
const OTHER_TICKS: u32 = 8;

/// Watches a socket until it is dropped.
pub struct Intake {
    _readable: Rc<Poll>,
    _tick: Option<Poll>,
}

impl Intake {
    /// `callback` gets the number of datagrams in each batch.
    pub fn start(
        env: &Env,
        descriptor: Rc<Descriptor>,
        receiver: Receiver,
        callback: Callback,
        counters: Rc<Doubles>,
    ) -> Result<Self, c_int> {
        // Without a timer every datagram wakes.
        let timer = KernelTimer::new().ok();
        let ticking = timer.as_ref().map(|timer| timer.descriptor().clone());
        let shared = Rc::new(Shared {
            descriptor: descriptor.clone(),
            drain: RefCell::new(Drain { receiver, callback }),
            pace: RefCell::new(Pace::default()),
            counters,
            timer,
            readable: OnceCell::new(),
        });
        let (woken, ticked) = (shared.clone(), shared.clone());
        let readable = Rc::new(Poll::start(env, descriptor, Box::new(move || woken.woken()))?);
        let _ = shared.readable.set(Rc::downgrade(&readable));
        let tick = match ticking {
            None => None,
            Some(ticking) => Some(Poll::start(env, ticking, Box::new(move || ticked.ticked()))?),
        };
        Ok(Intake { _readable: readable, _tick: tick })
    }
}

struct Shared {
    descriptor: Rc<Descriptor>,
    drain: RefCell<Drain>,
    pace: RefCell<Pace>,
    counters: Rc<Doubles>,
    timer: Option<KernelTimer>,
    readable: OnceCell<Weak<Poll>>,
}

impl Shared {
    fn woken(&self) {
        let now_ns = crate::monotonic_ns();
        let taken = self.drain();
        let Some(timer) = &self.timer else { return };
        if self.pace.borrow_mut().woken(now_ns, &taken) && timer.set(PACE_NS, PACE_NS).is_ok() {
            self.watch(false);
        }
    }

    fn ticked(&self) {
        let Some(timer) = &self.timer else { return };
        if timer.take() == 0 {
            return;
        }
        self.counters.add(WAKES_PACED, 1.0);
        let taken = self.drain();
        if self.pace.borrow_mut().ticked(&taken) {
            let _ = timer.set(0, 0);
            self.watch(true);
        }
    }

    fn watch(&self, on: bool) {
        // Gone if the callback has closed the socket.
        let Some(readable) = self.readable.get().and_then(Weak::upgrade) else { return };
        if on { readable.resume() } else { readable.pause() }
    }

    fn drain(&self) -> Taken {
        let taken = self.drain.borrow_mut().run(&self.descriptor);
        crate::tun::take_answers();
        taken
    }
}

/// What one turn has brought, and whether it stopped before all was taken.
struct Taken {
    datagrams: usize,
    more: bool,
}

struct Drain {
    receiver: Receiver,
    callback: Callback,
}

impl Drain {
    fn run(&mut self, descriptor: &Descriptor) -> Taken {
        let mut taken = Taken { datagrams: 0, more: true };
        let mut calls = 0;
        while calls < CALLS_PER_TURN || self.receiver.has_rest() {
            calls += !self.receiver.has_rest() as usize;
            let (count, more) = self.receiver.fill();
            taken.datagrams += count;
            if count > 0 {
                self.callback.call(count as f64);
            }
            // The callback may have closed the socket.
            if !more || descriptor.fd() < 0 {
                taken.more = false;
                break;
            }
        }
        taken
    }
}

/// Decides from what wake-ups bring.
#[derive(Default)]
struct Pace {
    last_ns: i64,
    /// Wake-ups in a row that speak for a change.
    streak: u32,
}

impl Pace {
    /// Whether to pace from now on.
    fn woken(&mut self, now_ns: i64, taken: &Taken) -> bool {
        let dense = now_ns - self.last_ns < DENSE_NS && taken.datagrams <= FEW;
        self.last_ns = now_ns;
        self.count(dense, DENSE_WAKES)
    }

    /// Whether to end it: the stream is thin, or so thick that batches are full anyway.
    fn ticked(&mut self, taken: &Taken) -> bool {
        if taken.more {
            self.streak = 0;
            return true;
        }
        self.count(taken.datagrams < THIN || taken.datagrams >= THICK, OTHER_TICKS)
    }

    fn count(&mut self, speaks: bool, enough: u32) -> bool {
        self.streak = if speaks { self.streak + 1 } else { 0 };
        let change = self.streak >= enough;
        if change {
            self.streak = 0;
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Taken = Taken { datagrams: 1, more: false };

    fn wakes(pace: &mut Pace, count: u32, apart_ns: i64, taken: &Taken) -> bool {
        (0..count).any(|_| pace.woken(pace.last_ns + apart_ns, taken))
    }

    #[test]
    fn a_dense_stream_of_single_datagrams_is_paced() {
        let mut pace = Pace::default();
        assert!(!wakes(&mut pace, DENSE_WAKES - 1, 10_000, &ONE));
        assert!(wakes(&mut pace, 1, 10_000, &ONE));
    }

    #[test]
    fn a_thin_stream_or_one_in_large_batches_is_not() {
        assert!(!wakes(&mut Pace::default(), 1000, DENSE_NS, &ONE));
        assert!(!wakes(&mut Pace::default(), 1000, 1_000, &Taken { datagrams: FEW + 1, more: false }));
    }

    #[test]
    fn a_pause_begins_the_count_anew() {
        let mut pace = Pace::default();
        assert!(!wakes(&mut pace, DENSE_WAKES - 1, 10_000, &ONE));
        assert!(!wakes(&mut pace, 1, 1_000_000, &ONE));
        assert!(!wakes(&mut pace, DENSE_WAKES - 1, 10_000, &ONE));
    }

    #[test]
    fn pacing_ends_when_the_stream_thins_out_or_fills_batches_by_itself() {
        let mut pace = Pace::default();
        assert!((0..1000).all(|_| !pace.ticked(&Taken { datagrams: THIN, more: false })));
        assert!((1..OTHER_TICKS).all(|_| !pace.ticked(&ONE)));
        assert!(pace.ticked(&ONE));
        assert!((1..OTHER_TICKS).all(|_| !pace.ticked(&Taken { datagrams: THICK, more: false })));
        assert!(pace.ticked(&Taken { datagrams: THICK, more: false }));
        assert!(pace.ticked(&Taken { datagrams: 256, more: true }));
    }
}
