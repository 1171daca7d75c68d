//! Threads that take checks: one fewer than there are processors, so that the caller has one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::{process, ptr, thread};

use crate::batch::Batch;

const MOST: usize = 7;

struct Pool {
    process: u32,
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
        if pool.process == process::id() {
            return pool;
        }
    }
    let wanted = thread::available_parallelism().map_or(0, |all| all.get() - 1).min(MOST);
    let made: &'static mut Pool = Box::leak(Box::new(Pool {
        process: process::id(),
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

/// Hands a batch to as many threads as can be of use, and returns at once.
pub fn hand_over(batch: &Arc<Batch>) {
    let pool = pool();
    let useful = pool.threads.min(batch.len());
    if useful == 0 {
        return;
    }
    let Ok(mut waiting) = pool.waiting.lock() else {
        return;
    };
    for _ in 0..useful {
        waiting.push_back(Arc::clone(batch));
    }
    drop(waiting);
    for _ in 0..useful {
        pool.something.notify_one();
    }
}
