//! Batched UDP: recvmmsg and sendmmsg with segmentation offload, ECN, arrival times and drop counters.

mod address;
mod counters;
mod intake;
mod receive;
mod send;
mod steer;

use std::cell::RefCell;
use std::rc::Rc;

use libc::{AF_INET, AF_INET6, c_int, c_void, socklen_t};
use napi::JsValue;
use napi::bindgen_prelude::{Env, Float64Array, FnArgs, Function, Uint32Array};
use napi_derive::napi;

use crate::columns::{Batch, Columns, Doubles};
use crate::poll::{Callback, Descriptor};
use crate::table::Table;
use address::Address;
use counters::{GRO_ON, OFFLOAD_ERRNO, OFFLOAD_ERRORS};
use intake::Intake;
use receive::{MESSAGE_BYTES, Receiver};
use send::Sender;

/// Asked of the kernel, which grants at most net.core.rmem_max and wmem_max: bursts are lost in small buffers.
const BUFFER_BYTES: c_int = 4 * 1024 * 1024;
/// Place of the drop count in the answer to SO_MEMINFO (SK_MEMINFO_DROPS).
const MEMINFO_DROPS: usize = 8;

#[napi(object, object_to_js = false)]
pub struct UdpOptions {
    pub address: Uint32Array,
    pub port: u16,
    pub broadcast: bool,
    pub rx_from: u32,
    pub rx_bytes: u32,
    pub gso: bool,
    pub gro: bool,
    pub workers: u32,
    pub timestamps: bool,
}

struct Socket {
    descriptor: Rc<Descriptor>,
    sender: Sender,
    _intake: Intake,
}

thread_local! {
    static SOCKETS: RefCell<Table<Socket>> = const { RefCell::new(Table::new()) };
}

/// Binds a socket. A handle, or a negative errno.
#[napi]
pub fn udp_open(
    env: Env,
    options: UdpOptions,
    rx: Batch,
    tx: Batch,
    counters: Float64Array,
    waited_ns: Float64Array,
    on_batch: Function<FnArgs<(f64,)>, ()>,
) -> i32 {
    let Some(callback) = Callback::new(&env, on_batch.raw()) else { return -libc::ENOMEM };
    let open = || -> Result<i32, c_int> {
        let (descriptor, family) = bind(&options)?;
        let (rx, counters): (Rc<Columns>, Rc<Doubles>) = (Rc::new(rx.into()), Rc::new(counters.into()));
        let gro = switch_gro_on(&descriptor, &options, &counters);
        let (from, bytes) = (options.rx_from as usize, options.rx_bytes as usize);
        let receiver =
            Receiver::new(descriptor.clone(), rx, counters.clone(), Rc::new(waited_ns.into()), from, bytes, gro);
        let receiver = receiver.ok_or(libc::EINVAL)?;
        let gso = options.gso && gso_works(&descriptor);
        let sender = Sender::new(descriptor.clone(), tx.into(), counters.clone(), family, gso);
        let intake = Intake::start(&env, descriptor.clone(), receiver, callback, counters)?;
        let socket = Socket { descriptor, sender, _intake: intake };
        SOCKETS.with_borrow_mut(|sockets| sockets.add(socket)).ok_or(libc::EMFILE)
    };
    open().unwrap_or_else(|errno| -errno)
}

/// Writes the bound address (four words) and port.
#[napi]
pub fn udp_local(socket: i32, mut into: Uint32Array) -> i32 {
    with(socket, -libc::EBADF, |socket| {
        let mut name = Address::zero();
        let mut length = size_of::<Address>() as socklen_t;
        // SAFETY: the kernel writes at most `length` bytes.
        let status =
            unsafe { libc::getsockname(socket.descriptor.fd(), &raw mut name as *mut libc::sockaddr, &mut length) };
        if status != 0 {
            return -crate::errno();
        }
        let (words, port) = address::take(&name);
        // SAFETY: JavaScript runs on this thread only, and not now.
        let into = unsafe { into.as_mut() };
        for (place, value) in into.iter_mut().zip(words.into_iter().chain([u32::from(port)])) {
            *place = value;
        }
        0
    })
}

/// Sends the first `count` slots; returns how many the kernel took.
#[napi]
pub fn udp_send(socket: i32, count: u32) -> u32 {
    with(socket, 0, |socket| socket.sender.send(count as usize) as u32)
}

/// Datagrams that the kernel dropped because the receive buffer was full.
#[napi]
pub fn udp_drops(socket: i32) -> u32 {
    with(socket, 0, |socket| {
        let mut info = [0u32; MEMINFO_DROPS + 1];
        let mut length = size_of_val(&info) as socklen_t;
        // SAFETY: the kernel writes at most `length` bytes.
        let status = unsafe {
            libc::getsockopt(
                socket.descriptor.fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                info.as_mut_ptr() as *mut c_void,
                &mut length,
            )
        };
        if status == 0 { info[MEMINFO_DROPS] } else { 0 }
    })
}

#[napi]
pub fn udp_close(socket: i32) {
    let gone = SOCKETS.with_borrow_mut(|sockets| sockets.remove(socket));
    drop(gone);
}

/// Runs `work` on a socket without holding the table: what it calls may open and close sockets.
fn with<A>(socket: i32, otherwise: A, work: impl FnOnce(&Socket) -> A) -> A {
    match SOCKETS.with_borrow(|sockets| sockets.get(socket).cloned()) {
        Some(socket) => work(&socket),
        None => otherwise,
    }
}

/// A bound, non-blocking socket and its family: IPv4 and IPv6 together if no address is given, IPv4 alone on a host without IPv6.
fn bind(options: &UdpOptions) -> Result<(Rc<Descriptor>, c_int), c_int> {
    let mut words = [0u32; 4];
    for (word, given) in words.iter_mut().zip(options.address.iter()) {
        *word = *given;
    }
    if words != [0; 4] {
        let family = if address::is_v4(words) { AF_INET } else { AF_INET6 };
        return Ok((bind_one(options, family, words)?, family));
    }
    match bind_one(options, AF_INET6, words) {
        Ok(descriptor) => Ok((descriptor, AF_INET6)),
        Err(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL) => Ok((bind_one(options, AF_INET, [0, 0, 0xffff, 0])?, AF_INET)),
        Err(errno) => Err(errno),
    }
}

fn bind_one(options: &UdpOptions, family: c_int, words: [u32; 4]) -> Result<Rc<Descriptor>, c_int> {
    // SAFETY: plain system call.
    let fd = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(crate::errno());
    }
    let descriptor = Descriptor::new(fd);
    if family == AF_INET6 {
        set(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, (words != [0; 4]) as c_int)?;
    }
    if options.workers > 0 {
        set(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
    if options.broadcast {
        set(fd, libc::SOL_SOCKET, libc::SO_BROADCAST, 1)?;
    }
    // Wishes: a kernel that does not know one of them serves without.
    let _ = set(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER_BYTES);
    let _ = set(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, BUFFER_BYTES);
    let _ = set(fd, libc::IPPROTO_IP, libc::IP_RECVTOS, 1);
    if family == AF_INET6 {
        let _ = set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1);
    }
    if options.timestamps {
        let _ = set(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1);
    }
    let mut name = Address::zero();
    let length = address::put(&mut name, family, words, options.port);
    // SAFETY: a valid address of the length told.
    if unsafe { libc::bind(fd, &raw const name as *const libc::sockaddr, length) } != 0 {
        return Err(crate::errno());
    }
    if options.workers > 0 {
        steer::attach(fd, options.workers)?;
    }
    Ok(descriptor)
}

/// Whether received datagrams come coalesced from now on.
fn switch_gro_on(descriptor: &Descriptor, options: &UdpOptions, counters: &Doubles) -> bool {
    let mut on = options.gro && options.rx_bytes as usize >= MESSAGE_BYTES;
    if on && let Err(errno) = set(descriptor.fd(), libc::SOL_UDP, libc::UDP_GRO, 1) {
        counters.add(OFFLOAD_ERRORS, 1.0);
        counters.set(OFFLOAD_ERRNO, errno as f64);
        on = false;
    }
    counters.set(GRO_ON, on as u8 as f64);
    on
}

/// Whether the kernel knows UDP_SEGMENT. A device that cannot do it says so at the first send, and then it is switched off.
fn gso_works(descriptor: &Descriptor) -> bool {
    set(descriptor.fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok() && !kernel_corrupts_gso()
}

/// Kernels 7.0 to 7.1.4 corrupt batches of equal length.
pub fn kernel_corrupts_gso() -> bool {
    // SAFETY: all-zero bytes are a valid utsname, which the kernel fills with terminated strings.
    let release = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        if libc::uname(&mut name) != 0 {
            return false;
        }
        std::ffi::CStr::from_ptr(name.release.as_ptr()).to_string_lossy().into_owned()
    };
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    ((7, 0, 0)..=(7, 1, 4)).contains(&version)
}

fn set(fd: c_int, level: c_int, option: c_int, value: c_int) -> Result<(), c_int> {
    // SAFETY: hands over one integer.
    let status = unsafe {
        libc::setsockopt(fd, level, option, &value as *const c_int as *const c_void, size_of::<c_int>() as socklen_t)
    };
    if status == 0 { Ok(()) } else { Err(crate::errno()) }
}
