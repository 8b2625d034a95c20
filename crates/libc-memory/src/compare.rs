use core::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8};

/// Bytes in a vector.
const VECTOR: usize = 16;

/// All bytes of two vectors are the same.
const SAME: u32 = 0xffff;

/// Less than, equal to or greater than zero, as the first byte that differs is, unsigned.
///
/// # Safety
///
/// Both must be readable for `length` bytes.
#[inline(always)]
pub(crate) unsafe fn compare(one: *const u8, other: *const u8, length: usize) -> i32 {
    // SAFETY: every access is within `length` bytes, by the comparison in front of it.
    unsafe {
        if length < VECTOR {
            return compare_few(one, other, length);
        }
        let mut at = 0;
        while at < length - VECTOR {
            let same = same(one.add(at), other.add(at));
            if same != SAME {
                return first(one.add(at), other.add(at), same);
            }
            at += VECTOR;
        }
        // The last ones, with some of those that were found to be the same.
        let (one, other) = (one.add(length - VECTOR), other.add(length - VECTOR));
        match same(one, other) {
            SAME => 0,
            same => first(one, other, same),
        }
    }
}

/// Fewer than 16 bytes.
#[inline(always)]
unsafe fn compare_few(one: *const u8, other: *const u8, length: usize) -> i32 {
    // SAFETY: the first and the last word are within `length` bytes. Neither need be aligned.
    unsafe {
        match length {
            8.. => {
                let word = |at: *const u8| u64::from_be(at.cast::<u64>().read_unaligned());
                let rest = length - 8;
                order(word(one), word(other))
                    .unwrap_or_else(|| difference(word(one.add(rest)), word(other.add(rest))))
            }
            4.. => {
                let word = |at: *const u8| u32::from_be(at.cast::<u32>().read_unaligned());
                let rest = length - 4;
                let wide =
                    |at: *const u8| u64::from(word(at)) << 32 | u64::from(word(at.add(rest)));
                difference(wide(one), wide(other))
            }
            0 => 0,
            // The first, the middle and the last of up to three are all there are.
            _ => {
                let byte = |from: *const u8, at: usize| u64::from(from.add(at).read());
                let all = |from: *const u8| {
                    byte(from, 0) << 16 | byte(from, length / 2) << 8 | byte(from, length - 1)
                };
                difference(all(one), all(other))
            }
        }
    }
}

/// None where both are the same.
#[inline(always)]
fn order(one: u64, other: u64) -> Option<i32> {
    (one != other).then(|| difference(one, other))
}

#[inline(always)]
fn difference(one: u64, other: u64) -> i32 {
    i32::from(one > other) - i32::from(one < other)
}

/// A bit for each of 16 bytes that is the same.
#[inline(always)]
unsafe fn same(one: *const u8, other: *const u8) -> u32 {
    // SAFETY: the caller knows of 16 readable bytes at both; they need not be aligned.
    unsafe {
        let load = |at: *const u8| -> __m128i { _mm_loadu_si128(at.cast()) };
        _mm_movemask_epi8(_mm_cmpeq_epi8(load(one), load(other))).cast_unsigned()
    }
}

/// The difference of the first of 16 bytes that are not all the same.
#[inline(always)]
unsafe fn first(one: *const u8, other: *const u8, same: u32) -> i32 {
    let at = (!same).trailing_zeros() as usize;
    // SAFETY: one of 16 bits is not set, and the caller knows of 16 readable bytes at both.
    unsafe { i32::from(one.add(at).read()) - i32::from(other.add(at).read()) }
}
