//! The structure of a message: parts with offsets, sizes and line counts.
