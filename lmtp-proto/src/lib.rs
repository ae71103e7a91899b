//! LMTP server session as a state machine; no I/O.
