//! Signatures of certificates and of evidence, checked by AWS-LC on threads of their own.
//!
//! Five functions for Python's `ctypes`. What they are handed are bytes and lengths; a batch is an address that
//! `troth_begin` gave and that `troth_end` takes back once. Nothing here reads certificates: keys come as
//! points and moduli.

mod batch;
mod check;
mod pool;

use std::slice;
use std::sync::Arc;

pub use batch::Batch;
pub use check::verifies;

struct Begun {
    process: pool::Process,
    batch: Arc<Batch>,
}

/// Counts up when a function, a scheme or the form of a batch changes.
#[no_mangle]
pub extern "C" fn troth_version() -> u32 {
    2
}

/// To be called in each child after a fork: a child may have its parent's number.
#[no_mangle]
pub extern "C" fn troth_forked() {
    pool::forked();
}

/// Begins the checks of a batch, or with `beside` 0 keeps them for whoever asks. Null where its bytes are none.
///
/// # Safety
/// `bytes` are `length` bytes that can be read until this returns.
#[no_mangle]
pub unsafe extern "C" fn troth_begin(
    bytes: *const u8,
    length: usize,
    beside: u32,
) -> *mut core::ffi::c_void {
    let Some(batch) = Batch::read(slice::from_raw_parts(bytes, length)) else {
        return std::ptr::null_mut();
    };
    let batch = Arc::new(batch);
    if beside != 0 {
        pool::hand_over(&batch);
    }
    Box::into_raw(Box::new(Begun { process: pool::here(), batch })).cast()
}

/// Waits for one answer: 1 it verifies, 2 it does not, 0 another process began this batch.
///
/// # Safety
/// `begun` came from `troth_begin`, and `troth_end` has not had it.
#[no_mangle]
pub unsafe extern "C" fn troth_answer(begun: *mut core::ffi::c_void, index: usize) -> u32 {
    let begun = &*begun.cast::<Begun>();
    if begun.process != pool::here() {
        return u32::from(batch::NOT_YET);
    }
    u32::from(begun.batch.answer(index))
}

/// Gives a batch back. Checks that are under way end by themselves.
///
/// # Safety
/// As `troth_answer`; never again after this.
#[no_mangle]
pub unsafe extern "C" fn troth_end(begun: *mut core::ffi::c_void) {
    drop(Box::from_raw(begun.cast::<Begun>()));
}
