//! What a FETCH asks for, and how a row of its answer is written.
