//! Sockets, TLS, timers and files for state machines that have none.
