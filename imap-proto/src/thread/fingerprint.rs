//! SipHash-2-4 with 128 bits (Aumasson and Bernstein 2012): what stands for a text where the text itself is not kept.

/// The fingerprint of a text under a key; never 0. Who does not know the key can make no two texts with the same one.
#[must_use]
pub fn fingerprint(key: [u8; 16], text: &[u8]) -> u128 {
    let [k0, k1] = words(u128::from_le_bytes(key));
    let mut state = State([
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ]);
    let (chunks, rest) = text.as_chunks::<8>();
    for chunk in chunks {
        state.take(u64::from_le_bytes(*chunk));
    }
    let mut last = [0; 8];
    last.get_mut(..rest.len()).unwrap_or_default().copy_from_slice(rest);
    state.take(u64::from_le_bytes(last) | (text.len() as u64) << 56);
    let low = state.finish(2, 0xee);
    let high = state.finish(1, 0xdd);
    (u128::from(high) << 64 | u128::from(low)).max(1)
}

fn words(value: u128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

struct State([u64; 4]);

impl State {
    fn take(&mut self, word: u64) {
        let [_, _, _, v3] = &mut self.0;
        *v3 ^= word;
        self.round();
        self.round();
        let [v0, ..] = &mut self.0;
        *v0 ^= word;
    }

    /// Half of the result; `which` word is changed by `by` before.
    fn finish(&mut self, which: usize, by: u64) -> u64 {
        if let Some(word) = self.0.get_mut(which) {
            *word ^= by;
        }
        (0..4).for_each(|_| self.round());
        self.0.iter().fold(0, |out, word| out ^ word)
    }

    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.0;
        *v0 = v0.wrapping_add(*v1);
        *v1 = v1.rotate_left(13) ^ *v0;
        *v0 = v0.rotate_left(32);
        *v2 = v2.wrapping_add(*v3);
        *v3 = v3.rotate_left(16) ^ *v2;
        *v0 = v0.wrapping_add(*v3);
        *v3 = v3.rotate_left(21) ^ *v0;
        *v2 = v2.wrapping_add(*v1);
        *v1 = v1.rotate_left(17) ^ *v2;
        *v2 = v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of the vectors that come with the reference implementation (`vectors_sip128`).
    #[test]
    fn as_the_reference_has_it() {
        let key = std::array::from_fn(|n| n as u8);
        let text: Vec<u8> = (0..16).collect();
        let of = |len: usize| {
            let bytes = fingerprint(key, &text[..len]).to_le_bytes();
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(of(0), "a3817f04ba25a8e66df67214c7550293");
        assert_eq!(of(1), "da87c1d86b99af44347659119b22fc45");
        assert_ne!(of(8), of(9));
    }
}
