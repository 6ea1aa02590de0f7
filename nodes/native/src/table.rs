//! Handles: what JavaScript holds instead of pointers. A handle carries a generation, so one that was closed never means another object.

use std::rc::Rc;

const SLOT_BITS: u32 = 16;
const GENERATIONS: u32 = 1 << 14;

pub struct Table<T> {
    slots: Vec<(u32, Option<Rc<T>>)>,
    free: Vec<u32>,
}

impl<T> Table<T> {
    pub const fn new() -> Self {
        Table { slots: Vec::new(), free: Vec::new() }
    }

    /// A positive handle, or `None` if all are taken.
    pub fn add(&mut self, value: T) -> Option<i32> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < (1 << SLOT_BITS) => {
                self.slots.push((0, None));
                self.slots.len() as u32 - 1
            }
            None => return None,
        };
        let entry = self.slots.get_mut(slot as usize)?;
        entry.0 = entry.0 % (GENERATIONS - 1) + 1;
        entry.1 = Some(Rc::new(value));
        Some((entry.0 << SLOT_BITS | slot) as i32)
    }

    #[inline(always)]
    pub fn get(&self, handle: i32) -> Option<&Rc<T>> {
        let (generation, value) = self.slots.get(handle as usize & ((1 << SLOT_BITS) - 1))?;
        if *generation == (handle as u32) >> SLOT_BITS { value.as_ref() } else { None }
    }

    pub fn remove(&mut self, handle: i32) -> Option<Rc<T>> {
        self.get(handle)?;
        let slot = handle as usize & ((1 << SLOT_BITS) - 1);
        let value = self.slots.get_mut(slot)?.1.take();
        self.free.push(slot as u32);
        value
    }
}
