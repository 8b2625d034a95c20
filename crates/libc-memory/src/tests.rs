extern crate std;

use std::vec::Vec;

use crate::compare::compare;
use crate::copy::copy;
use crate::fill::fill;

/// Beyond every limit: few bytes, vectors, turns, and several turns with a rest.
const LENGTHS: core::ops::Range<usize> = 0..330;

/// Bytes around what is written, which must stay as they are.
const MARGIN: usize = 80;

fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 131 + at / 251) as u8 ^ 0x5a)
        .collect()
}

#[test]
fn copies_are_exact_and_touch_nothing_else() {
    for length in LENGTHS {
        for (from_at, to_at) in [(0, 0), (1, 0), (0, 3), (7, 5), (15, 16), (9, 31)] {
            let from = pattern(from_at + length);
            let mut to = std::vec![0xee; MARGIN + to_at + length + MARGIN];
            let mut expected = to.clone();
            let at = MARGIN + to_at;
            expected[at..at + length].copy_from_slice(&from[from_at..]);
            // SAFETY: both have `length` bytes from there.
            unsafe { copy(to.as_mut_ptr().add(at), from.as_ptr().add(from_at), length) };
            assert_eq!(to, expected, "{length} bytes");
        }
    }
}

#[test]
fn copies_may_overlap_by_any_distance() {
    for length in LENGTHS {
        let distances = (0..70).chain([127, 128, 129, 191, 200, 256, 300]);
        for distance in distances {
            for (from_at, to_at) in [(0, distance), (distance, 0)] {
                let mut memory = pattern(length + distance + 8);
                let mut expected = memory.clone();
                expected.copy_within(from_at..from_at + length, to_at);
                let start = memory.as_mut_ptr();
                // SAFETY: both are within the vector.
                unsafe { copy(start.add(to_at), start.add(from_at), length) };
                assert_eq!(memory, expected, "{length} bytes by {distance}");
            }
        }
    }
}

#[test]
fn fills_are_exact_and_touch_nothing_else() {
    for length in LENGTHS {
        for at in [MARGIN, MARGIN + 1, MARGIN + 13] {
            for byte in [0, 1, 0x80, 0xff] {
                let mut to = std::vec![0x5a; at + length + MARGIN];
                let mut expected = to.clone();
                expected[at..at + length].fill(byte);
                // SAFETY: there are `length` bytes from there.
                unsafe { fill(to.as_mut_ptr().add(at), byte, length) };
                assert_eq!(to, expected, "{length} bytes of {byte:#x}");
            }
        }
    }
}

#[test]
fn comparisons_find_the_first_difference_wherever_it_is() {
    let sign = |one: &[u8], other: &[u8]| {
        // SAFETY: both are as long as the first.
        unsafe { compare(one.as_ptr(), other.as_ptr(), one.len()) }.signum()
    };
    for length in 0..150 {
        for start in [0, 1, 7] {
            let memory = pattern(start + length);
            let one = &memory[start..];
            let mut other = one.to_vec();
            assert_eq!(sign(one, &other), 0, "{length} bytes");
            for at in 0..length {
                for value in [0, 1, 0x7f, 0x80, 0xff] {
                    other[at] = value;
                    // What comes later must not count.
                    if let Some(last) = other.last_mut().filter(|_| at + 1 < length) {
                        *last = !value;
                    }
                    let expected = one.cmp(&other) as i32;
                    assert_eq!(sign(one, &other), expected, "{length} bytes, {at}: {value}");
                    other.copy_from_slice(one);
                }
            }
        }
    }
}
