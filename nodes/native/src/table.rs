//! Handles: what JavaScript holds instead of pointers. A handle carries a generation, so one that was closed never means another object.

use std::mem::ManuallyDrop;
use std::rc::Rc;

const SLOT_BITS: u32 = 16;
const GENERATIONS: u32 = 1 << 14;

/// A table is never dropped with what it holds: its thread ends later than the JavaScript environment that the objects belong to.
pub struct Table<T> {
    slots: ManuallyDrop<Vec<(u32, Option<Rc<T>>)>>,
    free: Vec<u32>,
}

impl<T> Table<T> {
    pub const fn new() -> Self {
        Table { slots: ManuallyDrop::new(Vec::new()), free: Vec::new() }
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

    /// Drops all objects.
    pub fn clear(&mut self) {
        for (slot, (_, value)) in self.slots.iter_mut().enumerate() {
            if value.take().is_some() {
                self.free.push(slot as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_means_its_own_object_until_it_is_removed_and_nothing_afterwards() {
        let mut table = Table::new();
        let (a, b) = (table.add("a"), table.add("b"));
        let (Some(a), Some(b)) = (a, b) else { unreachable!() };
        assert!(a > 0 && b > 0 && a != b);
        assert_eq!(table.remove(a).as_deref(), Some(&"a"));
        let c = table.add("c");
        assert!(table.get(a).is_none() && table.remove(a).is_none(), "the slot is used again, the handle is not");
        assert_eq!(table.get(b).map(|value| **value), Some("b"));
        assert_eq!(c.and_then(|c| table.get(c)).map(|value| **value), Some("c"));
    }

    #[test]
    fn handles_stay_positive_and_distinct_however_often_a_slot_is_used() {
        let mut table = Table::new();
        let mut last = 0;
        for _ in 0..3 * GENERATIONS {
            let handle = table.add(()).unwrap_or(0);
            assert!(handle > 0 && handle != last);
            assert!(table.get(last).is_none());
            table.remove(handle);
            last = handle;
        }
    }

    #[test]
    fn any_number_may_be_asked_for() {
        let mut table = Table::new();
        table.add(());
        for handle in [0, -1, 1, i32::MIN, i32::MAX, 1 << SLOT_BITS | 1, 2 << SLOT_BITS] {
            assert!(table.get(handle).is_none() && table.remove(handle).is_none());
        }
    }

    #[test]
    fn a_full_table_says_so_and_takes_more_when_it_is_cleared() {
        let mut table = Table::new();
        let first = table.add(()).unwrap_or(0);
        for _ in 1..1 << SLOT_BITS {
            assert!(table.add(()).is_some());
        }
        assert!(table.add(()).is_none());
        table.clear();
        assert!(table.get(first).is_none());
        assert!(table.add(()).is_some());
    }
}
