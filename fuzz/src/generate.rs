use fastrand::Rng;

/// The longest input; beyond it there is only more of the same.
const LONGEST: usize = 4096;

/// Makes inputs by changing those of a corpus a little: most of what is hostile is nearly valid.
#[derive(Debug)]
pub struct Generator<'a> {
    random: Rng,
    corpus: &'a [Vec<u8>],
    pieces: &'static [&'static [u8]],
}

impl<'a> Generator<'a> {
    /// The same seed makes the same inputs.
    pub fn new(seed: u64, corpus: &'a [Vec<u8>], pieces: &'static [&'static [u8]]) -> Self {
        Self {
            random: Rng::with_seed(seed),
            corpus,
            pieces,
        }
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let random = &mut self.random;
        let at = random.usize(..=input.len());
        let end = random.usize(at..=input.len().min(at + 32));
        match random.u8(..8) {
            0..=2 => {
                let piece = random.choice(self.pieces).expect("every target has pieces");
                // In place of something, or between.
                let end = if random.bool() { end } else { at };
                input.splice(at..end, piece.iter().copied());
            }
            3 => drop(input.drain(at..end)),
            4 => {
                let copy = input[at..end].to_vec();
                let to = random.usize(..=input.len());
                input.splice(to..to, copy);
            }
            5 => {
                let other = random.choice(self.corpus).map_or(&[][..], Vec::as_slice);
                let from = random.usize(..=other.len());
                let to = random.usize(from..=other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            6 => input.insert(at, random.u8(..)),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.u8(..8);
                }
            }
        }
    }
}

impl Iterator for Generator<'_> {
    type Item = Vec<u8>;

    /// There is always another one.
    fn next(&mut self) -> Option<Vec<u8>> {
        let random = &mut self.random;
        let mut input = match random.choice(self.corpus) {
            // Now and then from nothing.
            Some(seed) if random.u8(..32) > 0 => seed.clone(),
            _ => Vec::new(),
        };
        // Few changes mostly, many at times.
        let changes = 1 + (random.u32(..).trailing_zeros() as usize) * 2;
        for _ in 0..changes {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        Some(input)
    }
}
