//! Several checks, taken one by one by whoever has time: threads of the pool, and whoever waits.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use crate::check::verifies;

pub const NOT_YET: u8 = 0;
pub const VERIFIES: u8 = 1;
pub const DOES_NOT: u8 = 2;

const HEAD: usize = 16;

/// Where a check's parts lie in the batch's bytes.
struct Job {
    scheme: u8,
    key: (usize, usize),
    signature: (usize, usize),
    signed: (usize, usize),
}

pub struct Batch {
    bytes: Vec<u8>,
    jobs: Vec<Job>,
    next: AtomicUsize,
    answers: Vec<AtomicU8>,
    lock: Mutex<()>,
    one_more: Condvar,
}

impl Batch {
    /// Reads checks one after the other: four numbers of 32 bits, little-endian (scheme, then the lengths of
    /// key, signature and signed bytes), and these three. None where they do not end where the bytes end.
    pub fn read(bytes: &[u8]) -> Option<Batch> {
        let mut jobs = Vec::new();
        let mut at = 0usize;
        while at < bytes.len() {
            let head = bytes.get(at..at.checked_add(HEAD)?)?;
            let number = |index: usize| {
                u32::from_le_bytes([head[index], head[index + 1], head[index + 2], head[index + 3]])
            };
            at += HEAD;
            let mut part = |length: u32| {
                let end = at.checked_add(length as usize)?;
                bytes.get(at..end)?;
                let span = (at, end);
                at = end;
                Some(span)
            };
            jobs.push(Job {
                scheme: u8::try_from(number(0)).ok()?,
                key: part(number(4))?,
                signature: part(number(8))?,
                signed: part(number(12))?,
            });
        }
        let answers = jobs.iter().map(|_| AtomicU8::new(NOT_YET)).collect();
        Some(Batch {
            bytes: bytes.to_vec(),
            jobs,
            next: AtomicUsize::new(0),
            answers,
            lock: Mutex::new(()),
            one_more: Condvar::new(),
        })
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Takes one check that nobody has taken; false where there is none.
    fn take_one(&self) -> bool {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(job) = self.jobs.get(index) else {
            return false;
        };
        let part = |(begin, end): (usize, usize)| &self.bytes[begin..end];
        let found = catch_unwind(AssertUnwindSafe(|| {
            verifies(job.scheme, part(job.key), part(job.signature), part(job.signed))
        }));
        let answer = if matches!(found, Ok(true)) { VERIFIES } else { DOES_NOT };
        self.answers[index].store(answer, Ordering::Release);
        drop(self.lock.lock());
        self.one_more.notify_all();
        true
    }

    /// Takes checks until none is left.
    pub fn work(&self) {
        while self.take_one() {}
    }

    /// The answer to one check. Until it is there, whoever asks takes others, and then waits.
    pub fn answer(&self, index: usize) -> u8 {
        let Some(slot) = self.answers.get(index) else {
            return DOES_NOT;
        };
        loop {
            let found = slot.load(Ordering::Acquire);
            if found != NOT_YET {
                return found;
            }
            if !self.take_one() {
                break;
            }
        }
        let Ok(mut held) = self.lock.lock() else {
            return DOES_NOT;
        };
        loop {
            let found = slot.load(Ordering::Acquire);
            if found != NOT_YET {
                return found;
            }
            held = match self.one_more.wait(held) {
                Ok(held) => held,
                Err(_) => return DOES_NOT,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn head(numbers: [u32; 4]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    fn check(scheme: u32, parts: [&[u8]; 3]) -> Vec<u8> {
        let mut whole = head([scheme, parts[0].len() as u32, parts[1].len() as u32, parts[2].len() as u32]);
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        whole
    }

    #[test]
    fn only_whole_checks_are_read() {
        let one = check(1, [b"key", b"signature", b"signed"]);
        let two = [one.clone(), check(255, [b"", b"", b""])].concat();
        assert_eq!(Batch::read(b"").unwrap().len(), 0);
        for end in 0..=two.len() {
            let whole = end == 0 || end == one.len() || end == two.len();
            assert_eq!(Batch::read(&two[..end]).is_some(), whole, "{end} bytes");
        }
        for at in 0..4 {
            for number in [256, 1 << 31, u32::MAX] {
                let mut numbers = [1, 0, 0, 0];
                numbers[at] = number;
                assert!(Batch::read(&head(numbers)).is_none());
            }
        }
    }

    #[test]
    fn hostile_bytes_are_answered_with_no() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut read = 0;
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..draw() % 4 {
                let parts: Vec<Vec<u8>> =
                    (0..3).map(|_| (0..draw() % 100).map(|_| draw() as u8).collect()).collect();
                bytes.extend(check(draw() as u32 % 7, [&parts[0], &parts[1], &parts[2]]));
            }
            if !bytes.is_empty() && draw() % 2 == 0 {
                let at = draw() as usize % bytes.len();
                bytes[at] = draw() as u8;
            }
            if let Some(batch) = Batch::read(&bytes) {
                read += 1;
                assert!((0..=batch.len()).all(|index| batch.answer(index) == DOES_NOT));
            }
        }
        assert!(read > 10_000);
    }

    #[test]
    fn whoever_asks_is_answered_whatever_others_take() {
        let one = check(3, [&[4; 97], &[0x30; 100], b"signed"]);
        for _ in 0..200 {
            let batch = Arc::new(Batch::read(&one.repeat(20)).unwrap());
            let asking: Vec<_> = (0..6)
                .map(|first| {
                    let batch = Arc::clone(&batch);
                    if first == 0 {
                        crate::pool::hand_over(&batch);
                    }
                    thread::spawn(move || {
                        (0..20).for_each(|index| {
                            assert_eq!(batch.answer((first + index) % 20), DOES_NOT);
                        });
                    })
                })
                .collect();
            asking.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}
