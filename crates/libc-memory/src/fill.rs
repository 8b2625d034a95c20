use core::arch::x86_64::{__m128i, _mm_set1_epi8, _mm_storeu_si128};

/// Bytes in a vector.
const VECTOR: usize = 16;

/// Bytes that a turn of the loop writes.
const TURN: usize = 4 * VECTOR;

/// Writes `byte` `length` times.
///
/// # Safety
///
/// `to` must be writable for `length` bytes.
#[inline(always)]
pub(crate) unsafe fn fill(to: *mut u8, byte: u8, length: usize) {
    // SAFETY: every access is within `length` bytes, by the comparison in front of it.
    unsafe {
        if length < VECTOR {
            return fill_few(to, byte, length);
        }
        let vector = _mm_set1_epi8(byte.cast_signed());
        let end = to.add(length);
        if length > TURN {
            let mut at = 0;
            while at < length - TURN {
                let turn = to.add(at);
                store(turn, vector);
                store(turn.add(VECTOR), vector);
                store(turn.add(2 * VECTOR), vector);
                store(turn.add(3 * VECTOR), vector);
                at += TURN;
            }
            store(end.sub(4 * VECTOR), vector);
            store(end.sub(3 * VECTOR), vector);
        } else if length > 2 * VECTOR {
            store(to.add(VECTOR), vector);
        }
        if length > 2 * VECTOR {
            store(end.sub(2 * VECTOR), vector);
        }
        store(to, vector);
        store(end.sub(VECTOR), vector);
    }
}

/// Fewer than 16 bytes.
#[inline(always)]
unsafe fn fill_few(to: *mut u8, byte: u8, length: usize) {
    let word = u64::from(byte) * 0x0101_0101_0101_0101;
    // SAFETY: the first and the last word are within `length` bytes. Neither need be aligned.
    unsafe {
        match length {
            8.. => ends(to, word, length),
            4.. => ends(to, word as u32, length),
            2.. => ends(to, word as u16, length),
            1 => to.write(byte),
            0 => {}
        }
    }
}

/// One to two words, as the first and the last of them.
#[inline(always)]
unsafe fn ends<T: Copy>(to: *mut u8, word: T, length: usize) {
    // SAFETY: the caller knows that a word is at most `length` bytes.
    unsafe {
        to.cast::<T>().write_unaligned(word);
        to.add(length - size_of::<T>())
            .cast::<T>()
            .write_unaligned(word);
    }
}

#[inline(always)]
unsafe fn store(to: *mut u8, vector: __m128i) {
    // SAFETY: the caller knows of 16 writable bytes; they need not be aligned.
    unsafe { _mm_storeu_si128(to.cast(), vector) }
}
