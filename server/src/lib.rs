//! Loft, a mail server.
