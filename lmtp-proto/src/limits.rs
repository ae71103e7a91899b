//! Every bound of a session, and why it has its value.

/// The bounds of one connection. Times are in milliseconds, sizes in octets.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest command line with its CRLF. RFC 5321 §4.5.3.1.4 asks for 512 and the extensions add about 100; the
    /// rest is for addresses longer than they should be. [`Limits::LINE_CAP`] bounds it.
    pub line: usize,
    /// The longest message, announced as SIZE (RFC 1870); 0 sets no bound.
    pub message: u64,
    /// What is read and dropped of one refused message or line before the connection is closed instead. Large enough
    /// for an honest client to learn the refusal, small enough to end an endless stream.
    pub discard: u64,
    /// Accepted recipients of one message. RFC 5321 §4.5.3.1.8 asks for 100 at least.
    pub recipients: usize,
    /// Unsent or not yet durable replies, after which no further command is taken. The replies of one text, one for
    /// each recipient, come on top.
    pub unsent: usize,
    /// Commands in a row that no LMTP client sends (unknown verbs, broken lines) before the connection is closed.
    pub errors: u32,
    /// Refused commands of any kind in a row before the connection is closed. A mailing list's burst to mailboxes that
    /// are gone must fit.
    pub refusals: u32,
    /// From the connection, or the end of the TLS handshake, to the first LHLO, in total and not for each byte.
    pub lhlo_timeout: u64,
    /// From one command, or its reply, to the end of the next (RFC 5321 §4.5.3.2.7: at least 5 minutes).
    pub command_timeout: u64,
    /// For each [`Limits::text_block`] octets of text (RFC 5321 §4.5.3.2.5 gives a data block 3 minutes).
    pub text_timeout: u64,
    /// How much text must come within `text_timeout`.
    pub text_block: u64,
    /// How long the last replies may take to leave after QUIT or an error.
    pub close_timeout: u64,
}

impl Limits {
    /// No setting raises [`Limits::line`] above this.
    pub const LINE_CAP: usize = 8 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 2 * 1024,
            message: 128 << 20,
            discard: 4 << 30,
            recipients: 1_024,
            unsent: 3 * 1024,
            errors: 20,
            refusals: 10_000,
            lhlo_timeout: 60_000,
            command_timeout: 300_000,
            text_timeout: 300_000,
            text_block: 64 * 1024,
            close_timeout: 10_000,
        }
    }
}
