//! SEARCH as data and its evaluation.
