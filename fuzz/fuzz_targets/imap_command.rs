//! Fuzz target `imap_command`; without libFuzzer a program that replays files. The body is in the library.

#![cfg_attr(fuzzing, no_main)]

loft_fuzz::target!(imap_command);
