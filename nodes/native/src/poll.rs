//! File descriptors in Node's event loop. libuv, which Node exports, says when one is readable; the handler runs on the JavaScript thread, so a
//! packet wakes one thread and no other.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::rc::Rc;

use napi::{Env, sys};

#[allow(non_camel_case_types)]
type uv_poll_cb = unsafe extern "C" fn(handle: *mut c_void, status: c_int, events: c_int);
#[allow(non_camel_case_types)]
type uv_close_cb = unsafe extern "C" fn(handle: *mut c_void);

unsafe extern "C" {
    fn uv_handle_size(kind: c_int) -> usize;
    fn uv_handle_set_data(handle: *mut c_void, data: *mut c_void);
    fn uv_handle_get_data(handle: *const c_void) -> *mut c_void;
    fn uv_poll_init(event_loop: *mut c_void, handle: *mut c_void, fd: c_int) -> c_int;
    fn uv_poll_start(handle: *mut c_void, events: c_int, callback: uv_poll_cb) -> c_int;
    fn uv_poll_stop(handle: *mut c_void) -> c_int;
    fn uv_close(handle: *mut c_void, callback: uv_close_cb);
    fn uv_ref(handle: *mut c_void);
    fn uv_unref(handle: *mut c_void);
}

/// `UV_POLL` of `uv_handle_type`, and `UV_READABLE` of `uv_poll_event`.
const UV_POLL: c_int = 8;
const UV_READABLE: c_int = 1;

/// A descriptor that is closed at once when it is no longer wanted, while code that still runs on it finds it gone.
pub struct Descriptor(Cell<c_int>);

impl Descriptor {
    pub fn new(fd: c_int) -> Rc<Self> {
        Rc::new(Descriptor(Cell::new(fd)))
    }

    /// -1 = closed.
    #[inline(always)]
    pub fn fd(&self) -> c_int {
        self.0.get()
    }

    pub fn close(&self) {
        let fd = self.0.replace(-1);
        if fd >= 0 {
            // SAFETY: the descriptor was ours and is closed once.
            unsafe { libc::close(fd) };
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.close();
    }
}

/// A JavaScript function that takes one number.
pub struct Callback {
    env: sys::napi_env,
    function: sys::napi_ref,
}

impl Callback {
    /// `function` is a value of `env` that is a function.
    pub fn new(env: &Env, function: sys::napi_value) -> Option<Self> {
        let mut reference = std::ptr::null_mut();
        // SAFETY: the value belongs to this env.
        let status = unsafe { sys::napi_create_reference(env.raw(), function, 1, &mut reference) };
        (status == sys::Status::napi_ok).then_some(Callback { env: env.raw(), function: reference })
    }

    /// Calls it from the event loop, so microtasks run afterwards. What it throws becomes an uncaught exception.
    pub fn call(&self, argument: f64) {
        // SAFETY: runs on the thread of the env; every handle made here lies in the scope opened here.
        unsafe {
            let mut scope = std::ptr::null_mut();
            if sys::napi_open_handle_scope(self.env, &mut scope) != sys::Status::napi_ok {
                return;
            }
            let mut function = std::ptr::null_mut();
            let mut value = std::ptr::null_mut();
            if sys::napi_get_reference_value(self.env, self.function, &mut function) == sys::Status::napi_ok
                && !function.is_null()
                && sys::napi_create_double(self.env, argument, &mut value) == sys::Status::napi_ok
            {
                let status = sys::napi_make_callback(
                    self.env,
                    std::ptr::null_mut(),
                    function,
                    function,
                    1,
                    &value,
                    std::ptr::null_mut(),
                );
                if status == sys::Status::napi_pending_exception {
                    let mut error = std::ptr::null_mut();
                    sys::napi_get_and_clear_last_exception(self.env, &mut error);
                    sys::napi_fatal_exception(self.env, error);
                }
            }
            sys::napi_close_handle_scope(self.env, scope);
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: the reference was made by this env and is deleted once, on its thread.
        unsafe { sys::napi_delete_reference(self.env, self.function) };
    }
}

type Handler = Box<dyn FnMut()>;

struct State {
    env: sys::napi_env,
    descriptor: Rc<Descriptor>,
    /// `None` while it runs, and after the end.
    handler: Option<Handler>,
    closing: bool,
}

/// Watches a descriptor until it is closed or dropped; then the descriptor is closed too.
pub struct Poll {
    handle: *mut c_void,
}

impl Poll {
    /// `handler` runs whenever the descriptor is readable. It may close this poll.
    pub fn start(env: &Env, descriptor: Rc<Descriptor>, handler: Handler) -> Result<Self, c_int> {
        let event_loop = env.get_uv_event_loop().map_err(|_| libc::ENOSYS)? as *mut c_void;
        // SAFETY: the handle's memory is as large as libuv says, zeroed and aligned for any type; it is freed in `closed`, after libuv is done.
        unsafe {
            let handle = libc::calloc(1, uv_handle_size(UV_POLL));
            if handle.is_null() {
                return Err(libc::ENOMEM);
            }
            let status = uv_poll_init(event_loop, handle, descriptor.fd());
            if status != 0 {
                libc::free(handle);
                return Err(-status);
            }
            let state = Box::new(State { env: env.raw(), descriptor, handler: Some(handler), closing: false });
            uv_handle_set_data(handle, Box::into_raw(state) as *mut c_void);
            sys::napi_add_env_cleanup_hook(env.raw(), Some(cleanup), handle);
            let poll = Poll { handle };
            match uv_poll_start(handle, UV_READABLE, readable) {
                0 => Ok(poll),
                status => Err(-status),
            }
        }
    }
}

impl Poll {
    /// Whether the process lives on for this descriptor alone; at first it does.
    pub fn keep_alive(&self, on: bool) {
        // SAFETY: the handle lives.
        unsafe { if on { uv_ref(self.handle) } else { uv_unref(self.handle) } }
    }

    /// To run the handler without being asked by the event loop.
    pub fn turn(&self) -> Turn {
        Turn { handle: self.handle }
    }

    /// The handler does not run until `resume`; nor does the process live on for this descriptor.
    pub fn pause(&self) {
        // SAFETY: the handle lives.
        unsafe {
            if !state(self.handle).closing {
                uv_poll_stop(self.handle);
            }
        }
    }

    pub fn resume(&self) {
        // SAFETY: the handle lives.
        unsafe {
            if !state(self.handle).closing {
                uv_poll_start(self.handle, UV_READABLE, readable);
            }
        }
    }
}

/// The handler of a poll that may be dropped while it runs.
pub struct Turn {
    handle: *mut c_void,
}

impl Turn {
    /// Runs it, unless the poll is closed.
    ///
    /// # Safety
    /// In the same turn of the event loop in which it was made: so long the handle's memory stays, even if the poll is dropped.
    pub unsafe fn run(self) {
        // SAFETY: as the caller says.
        unsafe { readable(self.handle, 0, UV_READABLE) }
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        // SAFETY: the handle lives until libuv calls `closed`, which happens only after this.
        unsafe { close(self.handle) };
    }
}

unsafe fn state<'a>(handle: *mut c_void) -> &'a mut State {
    // SAFETY: set in `start`, taken away in `closed`.
    unsafe { &mut *(uv_handle_get_data(handle) as *mut State) }
}

unsafe extern "C" fn readable(handle: *mut c_void, _status: c_int, _events: c_int) {
    // SAFETY: libuv calls this only for a handle that is not closed. The handler may close it: memory stays until `closed`, which needs
    // another turn of the loop.
    let Some(mut handler) = unsafe { state(handle) }.handler.take() else { return };
    handler();
    // SAFETY: as above.
    let state = unsafe { state(handle) };
    if !state.closing {
        state.handler = Some(handler);
    }
}

unsafe fn close(handle: *mut c_void) {
    // SAFETY: called while the handle lives.
    unsafe {
        let state = state(handle);
        if state.closing {
            return;
        }
        state.closing = true;
        sys::napi_remove_env_cleanup_hook(state.env, Some(cleanup), handle);
        uv_close(handle, closed);
        state.descriptor.close();
        // What it holds belongs to the environment, which may be gone when libuv is done with the handle.
        drop(state.handler.take());
    }
}

unsafe extern "C" fn closed(handle: *mut c_void) {
    // SAFETY: the last call for this handle.
    unsafe {
        drop(Box::from_raw(uv_handle_get_data(handle) as *mut State));
        libc::free(handle);
    }
}

/// The environment (process or worker) ends with the descriptor still open.
unsafe extern "C" fn cleanup(handle: *mut c_void) {
    // SAFETY: registered while open, removed when closed.
    unsafe { close(handle) };
}
