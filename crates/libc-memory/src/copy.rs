use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};

/// Bytes in a vector.
const VECTOR: usize = 16;

/// Bytes that a turn of a loop moves.
const TURN: usize = 4 * VECTOR;

/// Four vectors in a row.
type Four = [__m128i; 4];

/// Copies `length` bytes; the places may overlap.
///
/// Up to two turns, everything is read before anything is written, the last bytes together with some before them:
/// no loop and no direction.
///
/// # Safety
///
/// `from` must be readable and `to` writable for `length` bytes.
#[inline(always)]
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: every access is within `length` bytes of `from` or `to`, by the comparison in front of it.
    unsafe {
        if length <= VECTOR {
            return copy_few(to, from, length);
        }
        if length <= 2 * VECTOR {
            let (first, last) = (load(from), load(from.add(length - VECTOR)));
            store(to, first);
            store(to.add(length - VECTOR), last);
            return;
        }
        if length <= TURN {
            let [first, second] = [load(from), load(from.add(VECTOR))];
            let end = from.add(length);
            let [third, fourth] = [load(end.sub(2 * VECTOR)), load(end.sub(VECTOR))];
            store(to, first);
            store(to.add(VECTOR), second);
            let end = to.add(length);
            store(end.sub(2 * VECTOR), third);
            store(end.sub(VECTOR), fourth);
            return;
        }
        if length <= 2 * TURN {
            let (first, last) = (load_four(from), load_four(from.add(length - TURN)));
            store_four(to, first);
            store_four(to.add(length - TURN), last);
            return;
        }
        // As one comparison: `to` before `from` wraps around to a large distance.
        match (to as usize).wrapping_sub(from as usize) >= length {
            true => copy_forwards(to, from, length),
            false => copy_backwards(to, from, length),
        }
    }
}

/// Up to 16 bytes.
#[inline(always)]
unsafe fn copy_few(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: as for `copy`. Neither side need be aligned.
    unsafe {
        match length {
            8.. => ends::<u64>(to, from, length),
            4.. => ends::<u32>(to, from, length),
            2.. => ends::<u16>(to, from, length),
            1 => to.write(from.read()),
            0 => {}
        }
    }
}

/// One to two words, as the first and the last of them.
#[inline(always)]
unsafe fn ends<T: Copy>(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller knows that a word is at most `length` bytes.
    unsafe {
        let rest = length - size_of::<T>();
        let first = from.cast::<T>().read_unaligned();
        let last = from.add(rest).cast::<T>().read_unaligned();
        to.cast::<T>().write_unaligned(first);
        to.add(rest).cast::<T>().write_unaligned(last);
    }
}

/// More than two turns, where writing from the beginning destroys nothing that is still to be read.
#[inline(always)]
unsafe fn copy_forwards(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: turns end before the last one, which is written on its own.
    unsafe {
        let last = load_four(from.add(length - TURN));
        let mut at = 0;
        while at < length - TURN {
            let four = load_four(from.add(at));
            store_four(to.add(at), four);
            at += TURN;
        }
        store_four(to.add(length - TURN), last);
    }
}

/// More than two turns, where writing from the end destroys nothing that is still to be read.
#[inline(always)]
unsafe fn copy_backwards(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: turns end behind the first one, which is written on its own.
    unsafe {
        let first = load_four(from);
        let mut end = length;
        while end > TURN {
            let four = load_four(from.add(end - TURN));
            store_four(to.add(end - TURN), four);
            end -= TURN;
        }
        store_four(to, first);
    }
}

#[inline(always)]
unsafe fn load(from: *const u8) -> __m128i {
    // SAFETY: the caller knows of 16 readable bytes; they need not be aligned.
    unsafe { _mm_loadu_si128(from.cast()) }
}

#[inline(always)]
unsafe fn store(to: *mut u8, vector: __m128i) {
    // SAFETY: the caller knows of 16 writable bytes; they need not be aligned.
    unsafe { _mm_storeu_si128(to.cast(), vector) }
}

#[inline(always)]
unsafe fn load_four(from: *const u8) -> Four {
    // SAFETY: the caller knows of 64 readable bytes.
    unsafe {
        [
            load(from),
            load(from.add(VECTOR)),
            load(from.add(2 * VECTOR)),
            load(from.add(3 * VECTOR)),
        ]
    }
}

#[inline(always)]
unsafe fn store_four(to: *mut u8, [first, second, third, fourth]: Four) {
    // SAFETY: the caller knows of 64 writable bytes.
    unsafe {
        store(to, first);
        store(to.add(VECTOR), second);
        store(to.add(2 * VECTOR), third);
        store(to.add(3 * VECTOR), fourth);
    }
}
