//! TUN and TAP devices: IP packets or Ethernet frames to and from the kernel in batches, super-packets in both directions.

mod answers;
mod counters;
mod interface;
mod offload;
mod reader;
mod writer;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use libc::c_int;
use napi::JsValue;
use napi::bindgen_prelude::{Env, Float64Array, FnArgs, Function};
use napi_derive::napi;

use crate::columns::{Batch, Doubles};
use crate::poll::{Callback, Poll};
use crate::table::Table;
use answers::Answers;
use counters::PACKETS_IN;
use interface::Wanted;
use reader::Reader;
use writer::Writer;

/// Batches handed over in one turn of the event loop; then timers and sockets have theirs.
const BATCHES_PER_TURN: usize = 4;
/// An Ethernet header and a VLAN tag, which the MTU does not count.
const FRAME_EXTRA_BYTES: usize = 14 + 4;

#[napi(object, object_to_js = false)]
pub struct TunOptions {
    pub name: String,
    pub tap: bool,
    pub mtu_bytes: u32,
    pub address: u32,
    pub prefix_length: u32,
    pub rx_from: u32,
    pub rx_bytes: u32,
    pub offload: bool,
}

struct Device {
    name: String,
    writer: Writer,
    counters: Rc<Doubles>,
    answers: Answers,
    poll: Poll,
}

thread_local! {
    static DEVICES: RefCell<Table<Device>> = const { RefCell::new(Table::new()) };
    /// The device that was written to last and may hold answers.
    static WRITTEN: Cell<Option<Weak<Device>>> = const { Cell::new(None) };
}

/// Makes an interface, gives it its address and MTU and takes it up. A handle, or a negative errno.
#[napi]
pub fn tun_open(
    env: Env,
    options: TunOptions,
    rx: Batch,
    tx: Batch,
    counters: Float64Array,
    on_batch: Function<FnArgs<(f64,)>, ()>,
) -> i32 {
    let Some(callback) = Callback::new(&env, on_batch.raw()) else { return -libc::ENOMEM };
    let open = || -> Result<i32, c_int> {
        let wanted = Wanted {
            name: &options.name,
            tap: options.tap,
            mtu_bytes: options.mtu_bytes,
            address: (options.address != 0).then_some((options.address, options.prefix_length)),
            offload: options.offload,
        };
        let interface = interface::open(&wanted)?;
        let descriptor = interface.descriptor;
        let counters: Rc<Doubles> = Rc::new(counters.into());
        let (from, bytes) = (options.rx_from as usize, options.rx_bytes as usize);
        let mut reader = Reader::new(descriptor.clone(), rx.into(), counters.clone(), options.tap, from, bytes)
            .ok_or(libc::EINVAL)?;
        let length_max = options.mtu_bytes as usize + if options.tap { FRAME_EXTRA_BYTES } else { 0 };
        let writer =
            Writer::new(descriptor.clone(), tx.into(), counters.clone(), options.tap, length_max, interface.mergeable);
        let watched = descriptor.clone();
        let handler = Box::new(move || {
            let mut batches = 0;
            while batches < BATCHES_PER_TURN || reader.has_rest() {
                batches += 1;
                let (count, more) = reader.fill();
                if count > 0 {
                    callback.call(count as f64);
                }
                // The callback may have closed the device.
                if !more || watched.fd() < 0 {
                    return;
                }
            }
        });
        let poll = Poll::start(&env, descriptor, handler)?;
        let device = Device { name: interface.name, writer, counters, answers: Answers::new(), poll };
        DEVICES.with_borrow_mut(|devices| devices.add(device)).ok_or(libc::EMFILE)
    };
    open().unwrap_or_else(|errno| -errno)
}

/// The name that the system gave it.
#[napi]
pub fn tun_name(device: i32) -> String {
    get(device).map(|device| device.name.clone()).unwrap_or_default()
}

/// Writes the first `count` slots; returns how many the kernel took.
#[napi]
pub fn tun_send(device: i32, count: u32) -> u32 {
    let Some(device) = get(device) else { return 0 };
    let taken = device.writer.send(count as usize) as u32;
    if taken > 0 && device.answers.expected() {
        WRITTEN.set(Some(Rc::downgrade(&device)));
    }
    taken
}

/// Reads what the packets written in this turn of a socket have brought, where it is worth asking.
pub fn take_answers() {
    let Some(written) = WRITTEN.take() else { return };
    // Not held meanwhile: the callback may close the device, which ends it at once.
    let Some((turn, counters)) = written.upgrade().map(|device| (device.poll.turn(), device.counters.clone())) else {
        return;
    };
    let before = counters.get(PACKETS_IN);
    // SAFETY: made just now, and the event loop does not turn in between.
    unsafe { turn.run() };
    if let Some(device) = written.upgrade() {
        device.answers.learn(counters.get(PACKETS_IN) > before);
    }
}

#[napi]
pub fn tun_close(device: i32) {
    let gone = DEVICES.with_borrow_mut(|devices| devices.remove(device));
    drop(gone);
}

/// A device, without holding the table: what is done with it may open and close others.
fn get(device: i32) -> Option<Rc<Device>> {
    DEVICES.with_borrow(|devices| devices.get(device).cloned())
}
