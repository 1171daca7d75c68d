//! Threads that take checks: one fewer than there are processors, so that the caller has one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::{process, ptr, thread};

use crate::batch::Batch;

const MOST: usize = 7;
/// Where threads are slower than who begins, or could not be made, what waits for them must not grow.
const MOST_WAITING: usize = 64;

/// Which process this is: its number, and how often it is a child. The first process in a container has the
/// number 1, and so has a child of its child in a namespace of its own.
pub type Process = (u32, u32);

static FORKS: AtomicU32 = AtomicU32::new(0);

pub fn here() -> Process {
    (process::id(), FORKS.load(Ordering::Acquire))
}

/// To be called in each child after a fork.
pub fn forked() {
    FORKS.fetch_add(1, Ordering::AcqRel);
}

struct Pool {
    process: Process,
    threads: usize,
    waiting: Mutex<VecDeque<Arc<Batch>>>,
    something: Condvar,
}

/// Never freed: threads hold it. A forked process has no threads of its parent's, and begins a new one.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(ptr::null_mut());

fn pool() -> &'static Pool {
    let held = POOL.load(Ordering::Acquire);
    // SAFETY: what is stored here came out of `Box::leak`, and lives as long as the process.
    if let Some(pool) = unsafe { held.as_ref() } {
        if pool.process == here() {
            return pool;
        }
    }
    let wanted = thread::available_parallelism().map_or(0, |all| all.get() - 1).min(MOST);
    let made: &'static mut Pool = Box::leak(Box::new(Pool {
        process: here(),
        threads: wanted,
        waiting: Mutex::new(VecDeque::new()),
        something: Condvar::new(),
    }));
    let address: *mut Pool = made;
    match POOL.compare_exchange(held, address, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            // SAFETY: as above; from here on it is only read through shared references.
            let pool: &'static Pool = unsafe { &*address };
            for _ in 0..wanted {
                // Where no thread can be made, whoever waits for an answer does the work.
                let _ = thread::Builder::new()
                    .name("troth-native".into())
                    .stack_size(256 * 1024)
                    .spawn(move || serve(pool));
            }
            pool
        }
        // Another thread was first; ours was seen by nobody.
        Err(first) => {
            // SAFETY: as above, both.
            unsafe {
                drop(Box::from_raw(address));
                &*first
            }
        }
    }
}

fn serve(pool: &'static Pool) {
    let Ok(mut waiting) = pool.waiting.lock() else {
        return;
    };
    loop {
        if let Some(batch) = waiting.pop_front() {
            drop(waiting);
            batch.work();
            waiting = match pool.waiting.lock() {
                Ok(waiting) => waiting,
                Err(_) => return,
            };
        } else {
            waiting = match pool.something.wait(waiting) {
                Ok(waiting) => waiting,
                Err(_) => return,
            };
        }
    }
}

/// Hands a batch to as many threads as can be of use, and returns at once. Where too many wait already, whoever
/// asks for this one's answers does its work.
pub fn hand_over(batch: &Arc<Batch>) {
    let pool = pool();
    let useful = pool.threads.min(batch.len());
    if useful == 0 {
        return;
    }
    let Ok(mut waiting) = pool.waiting.lock() else {
        return;
    };
    if waiting.len() >= MOST_WAITING {
        return;
    }
    for _ in 0..useful {
        waiting.push_back(Arc::clone(batch));
    }
    drop(waiting);
    for _ in 0..useful {
        pool.something.notify_one();
    }
}
