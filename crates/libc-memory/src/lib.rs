//! `memcpy`, `memmove`, `memset`, `memcmp` and `bcmp` for the static program of the image.
//!
//! musl copies with `rep movsq` and compares byte by byte. A request is hundreds of copies of 20 to 200 bytes and
//! dozens of comparisons of header names, where starting such an instruction takes longer than the copy:
//! `docs/decisions/0029-the-image-is-as-fast.md` has the figures. These use SSE2, which every x86-64 has. Linking
//! this crate replaces musl's; with glibc, which picks its own for the CPU, it does nothing.
#![no_std]
// Otherwise the compiler makes calls of `memcpy` from the loops of `memcpy`.
#![no_builtins]
#![allow(unsafe_code, reason = "this is what copies are made of")]
#![cfg(target_arch = "x86_64")]

#[cfg(any(test, target_env = "musl"))]
mod compare;
#[cfg(any(test, target_env = "musl"))]
mod copy;
#[cfg(any(test, target_env = "musl"))]
mod fill;
#[cfg(target_env = "musl")]
mod symbols;

#[cfg(test)]
mod tests;
