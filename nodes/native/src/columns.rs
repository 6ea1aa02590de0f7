//! The caller's memory: one slab of bytes and parallel arrays that describe what lies in it (core/wire/batch.ts). They are handed over once,
//! when a socket or device is opened, so that a batch crosses the language boundary as one number.

use napi::bindgen_prelude::{Float64Array, Int32Array, Uint8Array, Uint16Array, Uint32Array};
use napi_derive::napi;

/// A batch as JavaScript hands it over: the fields of a `DatagramBatch`.
#[napi(object, object_to_js = false)]
pub struct Batch {
    pub slab: Uint8Array,
    pub start: Uint32Array,
    pub length: Int32Array,
    pub address: Uint32Array,
    pub port: Uint16Array,
    pub ecn: Uint8Array,
    pub capacity: u32,
    pub slot_bytes: u32,
}

/// One typed array. The memory belongs to the caller, is never moved or given away by it (its layer sees to that), and is kept alive by
/// the reference that `_owner` holds. Reads and writes are bounds-checked: an index beyond the end reads zero and writes nothing.
pub struct Column<T: Copy + Default, Owner> {
    pointer: *mut T,
    length: usize,
    _owner: Owner,
}

macro_rules! column {
    ($name:ident, $element:ty, $owner:ty) => {
        pub type $name = Column<$element, $owner>;
        impl From<$owner> for $name {
            fn from(owner: $owner) -> Self {
                let (pointer, length) = (owner.as_ptr() as *mut $element, owner.len());
                Column { pointer, length, _owner: owner }
            }
        }
    };
}
column!(Bytes, u8, Uint8Array);
column!(Halves, u16, Uint16Array);
column!(Words, u32, Uint32Array);
column!(Integers, i32, Int32Array);
column!(Doubles, f64, Float64Array);

impl<T: Copy + Default, Owner> Column<T, Owner> {
    pub fn len(&self) -> usize {
        self.length
    }

    #[inline(always)]
    pub fn get(&self, index: usize) -> T {
        if index < self.length {
            // SAFETY: inside the array, which `_owner` keeps alive; JavaScript runs on this same thread only.
            unsafe { self.pointer.add(index).read() }
        } else {
            T::default()
        }
    }

    #[inline(always)]
    pub fn set(&self, index: usize, value: T) {
        if index < self.length {
            // SAFETY: as in `get`.
            unsafe { self.pointer.add(index).write(value) }
        }
    }

    /// Pointer to `count` elements at `at`, or `None` if they do not all lie inside.
    #[inline(always)]
    pub fn range(&self, at: usize, count: usize) -> Option<*mut T> {
        if at <= self.length && count <= self.length - at {
            // SAFETY: inside the array.
            Some(unsafe { self.pointer.add(at) })
        } else {
            None
        }
    }

    /// The `count` elements at `at` as a slice, for as long as no JavaScript runs.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn slice(&self, at: usize, count: usize) -> Option<&mut [T]> {
        // SAFETY: inside the array; callers hold no second slice of the same bytes.
        self.range(at, count).map(|pointer| unsafe { std::slice::from_raw_parts_mut(pointer, count) })
    }
}

impl Doubles {
    #[inline(always)]
    pub fn add(&self, index: usize, amount: f64) {
        self.set(index, self.get(index) + amount);
    }
}

/// The columns of a batch.
pub struct Columns {
    pub slab: Bytes,
    pub start: Words,
    pub length: Integers,
    pub address: Words,
    pub port: Halves,
    pub ecn: Bytes,
    pub capacity: usize,
    pub slot_bytes: usize,
}

impl From<Batch> for Columns {
    fn from(batch: Batch) -> Self {
        Columns {
            slab: batch.slab.into(),
            start: batch.start.into(),
            length: batch.length.into(),
            address: batch.address.into(),
            port: batch.port.into(),
            ecn: batch.ecn.into(),
            capacity: batch.capacity as usize,
            slot_bytes: batch.slot_bytes as usize,
        }
    }
}
