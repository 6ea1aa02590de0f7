//! Horizon's native module: what JavaScript cannot do or cannot do fast enough, and nothing else. No policy lives here: which packet goes where, and
//! under which key, is decided by the machines in core/.
//!
//! Rules of this crate: one crossing of the language boundary for a batch, none for a packet; memory belongs to the caller; no I/O error is an
//! exception, functions return a negative errno; nothing panics on any input.

// Without JavaScript nothing calls the module's functions.
#![cfg_attr(test, allow(dead_code))]

mod aead;
mod columns;
mod kernel_timer;
mod poll;
mod table;
mod timer;
mod tun;
mod udp;

use napi::bindgen_prelude::{Env, Object};
use napi_derive::napi;

/// Version of the interface, which native.ts compares with what it was written for.
#[napi]
pub const INTERFACE: u32 = 2;

/// Runs in each environment (the process, each worker) that loads the module.
#[napi(module_exports)]
pub fn start(_exports: Object, env: Env) -> napi::Result<()> {
    env.add_env_cleanup_hook((), |()| aead::wipe_all())?;
    Ok(())
}

/// The calling thread's errno.
pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

pub(crate) fn monotonic_ns() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time into `time`.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
