//! The files that index a Loft mailbox: UID sets, log, snapshot, cache, mailbox list, journal; bytes in, views and bytes out.
