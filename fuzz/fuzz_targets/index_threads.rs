//! Fuzz target `index_threads`; without libFuzzer a program that replays files. The body is in the library.

#![cfg_attr(fuzzing, no_main)]

loft_fuzz::target!(index_threads);
