//! The first byte of each record, and the bits that say which fields follow.

pub(super) const PREFIX: u8 = 0x01;
pub(super) const APPEND: u8 = 0x02;
pub(super) const APPENDS: u8 = 0x03;
pub(super) const FLAGS_REPLACE: u8 = 0x04;
pub(super) const FLAGS_ADD: u8 = 0x05;
pub(super) const FLAGS_REMOVE: u8 = 0x06;
pub(super) const KEYWORD_DEFINE: u8 = 0x07;
pub(super) const EXPUNGE: u8 = 0x08;
pub(super) const SAVE_DATE: u8 = 0x09;
pub(super) const UIDVALIDITY: u8 = 0x0a;
pub(super) const UIDNEXT: u8 = 0x0b;
pub(super) const METADATA: u8 = 0x0c;
pub(super) const PRIVATE_FLAGS: u8 = 0x0d;
pub(super) const TOMBSTONE: u8 = 0x0e;
/// Plus the number of the one flag's bit, 0 to 7.
pub(super) const FLAG_ADD_ONE: u8 = 0x10;
/// Plus the number of the one flag's bit, 0 to 7.
pub(super) const FLAG_REMOVE_ONE: u8 = 0x18;
pub(super) const VOID: u8 = 0x20;
/// Plus the keyword's number, 0 to 63.
pub(super) const KEYWORD_ADD: u8 = 0x40;
/// Plus the keyword's number, 0 to 63.
pub(super) const KEYWORD_REMOVE: u8 = 0x80;
pub(super) const KEYWORD_END: u8 = 0xc0;

pub(super) const PREFIX_MODSEQ: u8 = 1;
pub(super) const PREFIX_EPOCH: u8 = 2;
pub(super) const PREFIX_ORIGIN: u8 = 4;

pub(super) const APPEND_ANCHOR: u8 = 1;
pub(super) const APPEND_FLAGS: u8 = 2;
pub(super) const APPEND_KEYWORDS: u8 = 4;
pub(super) const APPEND_SAVE_DATE: u8 = 8;
pub(super) const APPEND_UID: u8 = 16;
pub(super) const APPEND_GUID: u8 = 32;
pub(super) const APPEND_ITEM: u8 = 64;
pub(super) const APPEND_KNOWN: u8 = 127;
