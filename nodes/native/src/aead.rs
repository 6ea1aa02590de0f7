//! AEAD on whole batches (core/crypto/batch.ts). A sealed datagram's header holds what its AEAD needs: nonce = bytes 0 to 3 ‖ 6 to 13, associated data =
//! all 14 bytes.

use std::cell::RefCell;
use std::mem::MaybeUninit;

use napi::bindgen_prelude::{Uint8Array, Uint32Array};
use napi_derive::napi;
use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::columns::{Bytes, Words};
use crate::table::Table;

const HEADER_BYTES: usize = 14;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// A key whose memory is overwritten when it goes.
struct Key(Box<MaybeUninit<LessSafeKey>>);

impl Key {
    fn new(algorithm: u32, bytes: &[u8]) -> Option<Self> {
        let algorithm = match algorithm {
            1 => &CHACHA20_POLY1305,
            2 => &AES_256_GCM,
            _ => return None,
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, bytes).ok()?);
        Some(Key(Box::new(MaybeUninit::new(key))))
    }

    #[inline(always)]
    fn get(&self) -> &LessSafeKey {
        // SAFETY: written in `new`, and gone only after `drop`.
        unsafe { self.0.assume_init_ref() }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key owns no memory of its own; it is dropped once and its bytes are overwritten before the box is freed.
        unsafe {
            self.0.assume_init_drop();
            let pointer = self.0.as_mut_ptr() as *mut u8;
            for offset in 0..size_of::<LessSafeKey>() {
                pointer.add(offset).write_volatile(0);
            }
        }
    }
}

/// Work to do on one slab: parallel arrays of the caller.
struct Work {
    slab: Bytes,
    key: Words,
    start: Words,
    from: Words,
    length: Words,
    opened: Bytes,
}

thread_local! {
    static KEYS: RefCell<Table<Key>> = const { RefCell::new(Table::new()) };
    static WORKS: RefCell<Table<Work>> = const { RefCell::new(Table::new()) };
}

/// Takes a key of 32 bytes; algorithm 1 = ChaCha20-Poly1305, 2 = AES-256-GCM. A handle, or 0 if it cannot be taken.
#[napi]
pub fn aead_key(algorithm: u32, key: Uint8Array) -> i32 {
    Key::new(algorithm, &key).and_then(|key| KEYS.with_borrow_mut(|keys| keys.add(key))).unwrap_or(0)
}

/// Overwrites a key.
#[napi]
pub fn aead_wipe(key: i32) {
    KEYS.with_borrow_mut(|keys| keys.remove(key));
}

/// Overwrites all keys of this thread.
pub fn wipe_all() {
    KEYS.with_borrow_mut(Table::clear);
}

/// Makes a place for work on `slab`: key handles, datagram offsets, plaintext offsets (for sealing), lengths (of the plaintext when sealing, of
/// the datagram when opening) and results (1 = opened). A handle, or 0.
#[napi]
pub fn aead_work(
    slab: Uint8Array,
    key: Uint32Array,
    start: Uint32Array,
    from: Uint32Array,
    length: Uint32Array,
    opened: Uint8Array,
) -> i32 {
    let work = Work {
        slab: slab.into(),
        key: key.into(),
        start: start.into(),
        from: from.into(),
        length: length.into(),
        opened: opened.into(),
    };
    WORKS.with_borrow_mut(|works| works.add(work)).unwrap_or(0)
}

#[napi]
pub fn aead_work_end(work: i32) {
    WORKS.with_borrow_mut(|works| works.remove(work));
}

/// Seals the first `count` places. What cannot be sealed is overwritten with zeros. Returns how many were sealed.
#[napi]
pub fn aead_seal(work: i32, count: u32) -> u32 {
    each(work, count, seal_one)
}

/// Opens the first `count` places in place and sets their results. Returns how many fitted.
#[napi]
pub fn aead_open(work: i32, count: u32) -> u32 {
    each(work, count, |work, keys, index| {
        let opened = open_one(work, keys, index);
        work.opened.set(index, opened.is_some() as u8);
        opened
    })
}

fn each(work: i32, count: u32, one: impl Fn(&Work, &Table<Key>, usize) -> Option<()>) -> u32 {
    WORKS.with_borrow(|works| {
        KEYS.with_borrow(|keys| {
            let Some(work) = works.get(work) else { return 0 };
            let count = work.key.len().min(count as usize);
            (0..count).filter(|&index| one(work, keys, index).is_some()).count() as u32
        })
    })
}

fn seal_one(work: &Work, keys: &Table<Key>, index: usize) -> Option<()> {
    let start = work.start.get(index) as usize;
    let length = work.length.get(index) as usize;
    let room = length.checked_add(HEADER_BYTES + TAG_BYTES)?;
    let datagram = work.slab.range(start, room)?;
    let source = work.slab.range(work.from.get(index) as usize, length);
    if let Some(source) = source {
        // SAFETY: source and target lie inside the slab and may overlap; no reference to its bytes exists yet.
        unsafe { std::ptr::copy(source, datagram.add(HEADER_BYTES), length) };
    }
    let (header, body) = work.slab.slice(start, room)?.split_at_mut_checked(HEADER_BYTES)?;
    let sealed = source.and(keys.get(work.key.get(index) as i32)).and_then(|key| {
        let text = body.get_mut(..length)?;
        key.get().seal_in_place_separate_tag(nonce(header), Aad::from(&*header), text).ok()
    });
    match sealed {
        Some(tag) => body[length..].copy_from_slice(tag.as_ref()),
        None => body.fill(0),
    }
    sealed.map(|_| ())
}

fn open_one(work: &Work, keys: &Table<Key>, index: usize) -> Option<()> {
    let length = work.length.get(index) as usize;
    if length < HEADER_BYTES + TAG_BYTES {
        return None;
    }
    let datagram = work.slab.slice(work.start.get(index) as usize, length)?;
    let (header, body) = datagram.split_at_mut(HEADER_BYTES);
    let key = keys.get(work.key.get(index) as i32)?;
    key.get().open_in_place(nonce(header), Aad::from(&*header), body).ok()?;
    Some(())
}

fn nonce(header: &[u8]) -> Nonce {
    let mut bytes = [0u8; NONCE_BYTES];
    bytes[..4].copy_from_slice(&header[..4]);
    bytes[4..].copy_from_slice(&header[6..HEADER_BYTES]);
    Nonce::assume_unique_for_key(bytes)
}
