//! A network interface of the kernel that belongs to this process: made, given its offloads, MTU and address, and taken up. It goes when its
//! descriptor is closed. All by ioctl, so that no other program is needed.

use std::rc::Rc;

use libc::{c_char, c_int, c_uint, c_ulong, ifreq};

use super::offload::coalesce::Mergeable;
use super::offload::virtio::VIRTIO_BYTES;
use crate::poll::Descriptor;

/// Packets that wait for the node while its event loop does something else: 10 ms at 100,000 packets a second. Linux's own 500 was
/// chosen for modems.
const QUEUE_PACKETS: c_int = 1_000;
/// `addr_gen_mode`: the interface gives itself no IPv6 address.
const ADDR_GEN_NONE: &str = "1";

/// What `tunOpen` is told about the interface.
pub struct Wanted<'a> {
    pub name: &'a str,
    pub tap: bool,
    pub mtu_bytes: u32,
    /// Address and length of the prefix, if it gets one.
    pub address: Option<(u32, u32)>,
    pub offload: bool,
}

pub struct Interface {
    pub descriptor: Rc<Descriptor>,
    /// As the system gave it.
    pub name: String,
    pub mergeable: Mergeable,
}

/// Opens an interface, or says why not as an errno.
pub fn open(wanted: &Wanted) -> Result<Interface, c_int> {
    let flags = libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: a path that ends with a zero.
    let descriptor = Descriptor::new(check(unsafe { libc::open(c"/dev/net/tun".as_ptr(), flags) })?);
    let fd = descriptor.fd();
    let mut request = named(wanted.name)?;
    // One queue, so one reader: with several, the kernel spreads flows over them by hash and moves a flow when it likes, which loses the order.
    // What exists already under that name is somebody else's, so it is not attached to (IFF_TUN_EXCL).
    let kind = if wanted.tap { libc::IFF_TAP } else { libc::IFF_TUN };
    request.ifr_ifru.ifru_flags = (kind | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL) as _;
    // SAFETY: the kernel reads and writes one ifreq.
    check(unsafe { libc::ioctl(fd, libc::TUNSETIFF as _, &mut request) })?;
    let header_bytes = VIRTIO_BYTES as c_int;
    // SAFETY: the kernel reads one integer.
    check(unsafe { libc::ioctl(fd, libc::TUNSETVNETHDRSZ as _, &header_bytes) })?;
    let mergeable = set_offloads(fd, wanted.offload);
    let name = name_of(&request);
    silence_ipv6(&name);
    configure(&request, wanted)?;
    Ok(Interface { descriptor, name, mergeable })
}

/// Sets the widest set of offloads that the kernel takes. USO (Linux 6.2) is for IPv4 and IPv6 together or not at all.
fn set_offloads(fd: c_int, wanted: bool) -> Mergeable {
    let tso = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    let uso = libc::TUN_F_USO4 | libc::TUN_F_USO6;
    // SAFETY: the argument is a set of flags, not a pointer.
    let set = |flags: c_uint| unsafe { libc::ioctl(fd, libc::TUNSETOFFLOAD as _, flags as c_ulong) } == 0;
    if wanted && set(tso | uso) {
        // A kernel that cuts UDP wrongly is spared it; what it hands over in one piece is cut here.
        return Mergeable { tcp: true, udp: !crate::udp::kernel_corrupts_gso() };
    }
    if wanted && set(tso) {
        return Mergeable { tcp: true, udp: false };
    }
    set(0);
    Mergeable { tcp: false, udp: false }
}

/// MTU, queue, address, up.
fn configure(request: &ifreq, wanted: &Wanted) -> Result<(), c_int> {
    // SAFETY: plain system call.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let socket = Descriptor::new(check(socket)?);
    let ioctl = |what: c_ulong, request: &mut ifreq| {
        // SAFETY: the kernel reads and writes one ifreq.
        check(unsafe { libc::ioctl(socket.fd(), what as _, request) })
    };
    let mut request = *request;
    request.ifr_ifru.ifru_mtu = c_int::try_from(wanted.mtu_bytes).map_err(|_| libc::EINVAL)?;
    ioctl(libc::SIOCSIFMTU as _, &mut request)?;
    request.ifr_ifru.ifru_metric = QUEUE_PACKETS;
    // A wish: the default serves too.
    let _ = ioctl(libc::SIOCSIFTXQLEN as _, &mut request);
    if let Some((address, prefix_length)) = wanted.address {
        if prefix_length > 32 {
            return Err(libc::EINVAL);
        }
        request.ifr_ifru.ifru_addr = inet(address);
        ioctl(libc::SIOCSIFADDR as _, &mut request)?;
        request.ifr_ifru.ifru_netmask = inet(u32::MAX.checked_shl(32 - prefix_length).unwrap_or(0));
        ioctl(libc::SIOCSIFNETMASK as _, &mut request)?;
    }
    ioctl(libc::SIOCGIFFLAGS as _, &mut request)?;
    // SAFETY: the kernel has just written the flags.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    ioctl(libc::SIOCSIFFLAGS as _, &mut request)?;
    Ok(())
}

/// The tunnel carries what the node was told to carry: an interface that gives itself an IPv6 address would send router solicitations through it.
/// Where /proc/sys may not be written, they are sent, and dropped by the node.
fn silence_ipv6(name: &str) {
    let folder = format!("/proc/sys/net/ipv6/conf/{name}");
    if std::fs::write(format!("{folder}/addr_gen_mode"), ADDR_GEN_NONE).is_err() {
        let _ = std::fs::write(format!("{folder}/disable_ipv6"), "1");
    }
}

fn check(status: c_int) -> Result<c_int, c_int> {
    if status < 0 { Err(crate::errno()) } else { Ok(status) }
}

/// A request that is about the interface of this name.
fn named(name: &str) -> Result<ifreq, c_int> {
    // SAFETY: all-zero bytes are a valid request.
    let mut request: ifreq = unsafe { std::mem::zeroed() };
    if name.is_empty() || name.len() >= request.ifr_name.len() || name.contains(['/', '\0']) || name.starts_with('.') {
        return Err(libc::EINVAL);
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte as c_char;
    }
    Ok(request)
}

fn name_of(request: &ifreq) -> String {
    let bytes: Vec<u8> = request.ifr_name.iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An IPv4 address as ioctl takes it.
fn inet(address: u32) -> libc::sockaddr {
    // SAFETY: all-zero bytes are a valid address of either kind, and the two have the same size.
    unsafe {
        let mut inet: libc::sockaddr_in = std::mem::zeroed();
        inet.sin_family = libc::AF_INET as _;
        inet.sin_addr.s_addr = address.to_be();
        std::mem::transmute(inet)
    }
}
