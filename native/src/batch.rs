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
