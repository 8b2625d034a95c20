//! The names by which the compiler and C know them (C23, 7.26; `bcmp` is the compiler's own).

use core::ffi::c_int;

use crate::compare::compare;
use crate::copy::copy;
use crate::fill::fill;

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: C asks of callers what `copy` asks for.
    unsafe { copy(to, from, length) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: C asks of callers what `copy` asks for.
    unsafe { copy(to, from, length) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: c_int, length: usize) -> *mut u8 {
    // Converted to an unsigned byte, as C says.
    let byte = byte as u8;
    // SAFETY: C asks of callers what `fill` asks for.
    unsafe { fill(to, byte, length) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> c_int {
    // SAFETY: C asks of callers what `compare` asks for.
    unsafe { compare(one, other, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, length: usize) -> c_int {
    // SAFETY: as for `memcmp`.
    unsafe { compare(one, other, length) }
}
