//! Fuzz target `dbox_attachments`; without libFuzzer a program that replays files. The body is in the library.

#![cfg_attr(fuzzing, no_main)]

loft_fuzz::target!(dbox_attachments);
