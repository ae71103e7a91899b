//! Every bound of a session, its default, and why that number.

/// Bounds of one session. Sizes are bytes, times milliseconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// A command line before login, literals apart: no command allowed there needs more, and a stranger pays
    /// nothing for what we hold.
    pub line_before_login: usize,
    /// A command line after login: RFC 7162 §4 asks for 8192 at least; clients send long UID sets.
    pub line: usize,
    /// All literals of a command before login together: a name and a password.
    pub literals_before_login: usize,
    /// All literals of a command after login together, APPEND's messages apart.
    pub literals: usize,
    /// How many literals a command may have.
    pub literal_count: usize,
    /// How deep brackets may nest before login.
    pub nesting_before_login: u32,
    /// How deep brackets may nest after login.
    pub nesting: u32,
    /// A tag: RFC 3501 sets no bound, clients use 4 to 10.
    pub tag: usize,
    /// A message given to APPEND.
    pub append: u64,
    /// Messages in one APPEND (RFC 3502).
    pub append_count: u32,
    /// All patterns of a LIST or LSUB together: matching a name costs its length times theirs.
    pub pattern: usize,
    /// Patterns in one LIST (RFC 5258).
    pub patterns: usize,
    /// Keywords in one STORE or APPEND.
    pub keywords: usize,
    /// Commands whose results are kept up to date in one mailbox (RFC 5267 §4.3): each is looked at again for every
    /// message that changes.
    pub contexts: usize,
    /// Results of a SORT that are kept up to date: all are sorted again for a new one.
    pub sorted_context: usize,
    /// Output that may wait for a slow reader before no more is made.
    pub unsent: usize,
    /// The same before login, where no answer is long.
    pub unsent_before_login: usize,
    /// Syntax errors in a row before the connection is dropped: not a client, or not IMAP.
    pub syntax_errors: u32,
    /// Failed log-ins before the connection is dropped.
    pub login_failures: u32,
    /// From the first byte to login, in all, so that a byte now and then gains nothing.
    pub login_time: u64,
    /// Without a command after login; RFC 3501 §5.4 asks for 30 minutes at least.
    pub idle_time: u64,
    /// Without progress while output waits.
    pub stall_time: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_before_login: 8 << 10,
            line: 64 << 10,
            literals_before_login: 8 << 10,
            literals: 1 << 20,
            literal_count: 1000,
            nesting_before_login: 1,
            nesting: 32,
            tag: 64,
            append: 64 << 20,
            append_count: 1000,
            pattern: 1 << 10,
            patterns: 100,
            keywords: 100,
            contexts: 8,
            sorted_context: 20_000,
            unsent: 64 << 10,
            unsent_before_login: 1 << 10,
            syntax_errors: 10,
            login_failures: 5,
            login_time: 60_000,
            idle_time: 30 * 60_000,
            stall_time: 5 * 60_000,
        }
    }
}

impl Limits {
    /// The most a session that is logged in holds for input and output, whatever the peer sends. Its view of the mailbox
    /// comes on top, and so does what the store answers.
    #[must_use]
    pub fn held(&self) -> usize {
        // Buffers double as they grow; a command is held as it came and again as it was understood.
        4 * (self.line + self.literals) + 2 * self.unsent
    }

    /// The most a session that is not logged in holds beyond an idle one: 16 KiB.
    #[must_use]
    pub fn held_before_login(&self) -> usize {
        self.command_before_login() + 3 * self.unsent_before_login
    }

    /// A command before login with its literals: not quite what both may have, so that with what waits to be sent it
    /// stays under 16 KiB.
    pub(crate) fn command_before_login(&self) -> usize {
        (self.line_before_login + self.literals_before_login)
            .saturating_sub(3 * self.unsent_before_login)
    }
}
