//! What a packet written to the interface makes the kernel answer (an echo reply, an acknowledgement) mostly waits to be read when the write
//! returns. Asking for it at once saves a turn of the event loop; asking in vain costs a system call, so it is asked while it pays.

use std::cell::Cell;

/// Each hit pays for a few misses.
const HIT: u32 = 4;
const SCORE_MAX: u32 = 16;
/// Without credit it is still tried once in so many turns.
const TRY_EVERY: u32 = 64;

pub struct Answers {
    score: Cell<u32>,
    turns: Cell<u32>,
}

impl Answers {
    pub fn new() -> Self {
        Answers { score: Cell::new(SCORE_MAX), turns: Cell::new(0) }
    }

    /// Whether to look for answers this time.
    pub fn expected(&self) -> bool {
        let turns = self.turns.get().wrapping_add(1);
        self.turns.set(turns);
        self.score.get() > 0 || turns.is_multiple_of(TRY_EVERY)
    }

    pub fn learn(&self, came: bool) {
        let score = self.score.get();
        self.score.set(if came { (score + HIT).min(SCORE_MAX) } else { score.saturating_sub(1) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answers: &Answers, turns: u32, came: bool) -> u32 {
        (0..turns)
            .filter(|_| {
                let expected = answers.expected();
                if expected {
                    answers.learn(came);
                }
                expected
            })
            .count() as u32
    }

    #[test]
    fn it_stops_asking_in_vain_but_for_a_try_now_and_then() {
        let answers = Answers::new();
        assert!(asked(&answers, 100 * TRY_EVERY, false) <= SCORE_MAX + 100);
    }

    #[test]
    fn it_asks_again_when_answers_come() {
        let answers = Answers::new();
        asked(&answers, 1_000, false);
        asked(&answers, TRY_EVERY, true);
        assert_eq!(asked(&answers, 1_000, true), 1_000);
    }
}
