//! Sockets that share a port: a small program in the kernel sends each datagram to the worker that holds its session.
//!
//! Byte 0 of a datagram is the worker of its connection id (core/wire/header.ts). A datagram without a connection (HELLO) goes by the client's random
//! bytes, so that its repetitions, and the one with the cookie, meet the same worker.

use libc::{c_int, sock_filter, sock_fprog};

/// Where the client random of a HELLO lies (core/wire/handshake.ts).
const HELLO_RANDOM: u32 = 30;

/// Whether the kernel took the program for a group of `workers` sockets that were bound in the order of their numbers.
pub fn attach(fd: c_int, workers: u32) -> Result<(), c_int> {
    let word_at = |at| op(0x20, 0, 0, at); // ld [at]
    let byte_at = |at| op(0x30, 0, 0, at); // ldb [at]
    let modulo = op(0x94, 0, 0, workers); // mod #workers
    let done = op(0x16, 0, 0, 0); // ret a
    let mut program = [
        word_at(0),
        op(0x15, 3, 0, 0), // jeq #0: no connection yet
        byte_at(0),
        modulo,
        done,
        word_at(HELLO_RANDOM), // a datagram too short for it ends the program: worker 0
        modulo,
        done,
    ];
    let filter = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: a valid program of the length told.
    let status = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            &filter as *const sock_fprog as *const libc::c_void,
            size_of::<sock_fprog>() as libc::socklen_t,
        )
    };
    if status == 0 { Ok(()) } else { Err(crate::errno()) }
}

fn op(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}
