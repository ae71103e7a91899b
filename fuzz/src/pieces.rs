//! Splits an input into byte strings.

/// Each piece has its length in front: two bytes, little-endian, cut to what is there.
pub(crate) struct Pieces<'a>(pub(crate) &'a [u8]);

impl Pieces<'_> {
    /// Takes eight bytes, or what is there of them.
    pub(crate) fn number(&mut self) -> u64 {
        let (head, rest) = self.0.split_at(self.0.len().min(8));
        self.0 = rest;
        let mut bytes = [0; 8];
        bytes[..head.len()].copy_from_slice(head);
        u64::from_le_bytes(bytes)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        self.0 = rest;
        Some(piece)
    }
}

/// An input with these pieces.
pub(crate) fn join<'a>(numbers: &[u64], pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut input = Vec::new();
    for number in numbers {
        input.extend_from_slice(&number.to_le_bytes());
    }
    for piece in pieces {
        let length = u16::try_from(piece.len()).expect("pieces of seeds are short");
        input.extend_from_slice(&length.to_le_bytes());
        input.extend_from_slice(piece);
    }
    input
}
