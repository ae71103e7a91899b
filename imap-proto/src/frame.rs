//! Bytes → commands: the only code that sees half a line, and the one place where every bound on input is kept.
//!
//! Invariants:
//! - Whatever the state, held bytes never exceed a line and a command's literals as [`Limits`] bound them.
//! - What a peer meant as a literal is never read as a command: when the end of a literal can't be known, the
//!   connection ends.
//! - The result doesn't depend on how the input was cut.

use memchr::memchr;

use crate::limits::Limits;
use crate::parse::command::wants_message;
use crate::tag::Tag;
use crate::types::wipe;

/// What the session expects next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Commands of a peer that hasn't logged in.
    Guest,
    /// Commands of a user.
    User,
    /// One line without literals: an answer to `+` (AUTHENTICATE), or DONE.
    Plain,
    /// What follows a message in APPEND: the end, or the next message.
    AppendTail,
}

/// A unit of input.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    /// A whole command or line without its CRLF; literals stand in it as they came, `{n}` CRLF included.
    Line(&'a [u8]),
    /// A synchronising literal is welcome: say `+`.
    Continue,
    /// A command up to a literal that is a message to append; [`Framer::accept`] or [`Framer::refuse`] must follow.
    Message(&'a [u8], Literal),
    /// So many bytes at the front of the input are the message's next part.
    Part(usize),
    /// The message is complete.
    PartsEnd,
    /// A command that can't be taken is over.
    Faulty(Tag, Fault),
    /// Where the next command begins can't be known, or nobody wants to know.
    Fatal(Fault),
}

/// A literal's header (RFC 3501 §4.3, RFC 7888 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Literal {
    /// Bytes that follow.
    pub(crate) size: u64,
    /// The peer waits for `+`.
    pub(crate) sync: bool,
    /// `~{`: NUL is allowed (RFC 3516 §3).
    pub(crate) binary: bool,
}

/// Why input can't be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("Command line is too long")]
    LineTooLong,
    #[error("Brackets are nested too deep")]
    TooDeep,
    #[error("NUL is not allowed here")]
    Nul,
    #[error("Literal is not valid")]
    Literal,
    #[error("Literals are too large")]
    LiteralsTooLarge,
    #[error("Too many literals")]
    TooManyLiterals,
    #[error("This is not HTTP")]
    Http,
}

/// Where the next byte belongs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// In a line.
    #[default]
    Line,
    /// In a literal of a command: this many bytes are missing.
    Literal(u64),
    /// In a literal of a command that is lost already.
    Swallow(u64),
    /// In a message that goes to the store; `true` allows NUL.
    Message(u64, bool),
    /// `held` was given out as a whole line and is forgotten next.
    Spent,
    /// A message was announced, and the session hasn't decided yet.
    Asked(Literal),
}

/// Cuts input into [`Frame`]s.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    state: State,
    /// The command so far. Once it is faulty, only the last bytes of its line.
    held: Vec<u8>,
    /// Bytes of `held` that are literals.
    literal_bytes: usize,
    literal_count: usize,
    /// Where in `held` the line behind the last literal begins; a literal may look like anything.
    line_start: usize,
    scan: Scan,
    /// The command is lost, and why.
    fault: Option<(Tag, Fault)>,
    /// Bytes thrown away for this command.
    swallowed: u64,
}

/// What the line read so far means for the bytes that follow.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    depth: u32,
    squares: u32,
    quoted: bool,
    escaped: bool,
}

impl Framer {
    /// Takes the next unit off the front of `rest`; `None` wants more bytes.
    ///
    /// The frame borrows either the input or this framer; the latter forgets it at the next call.
    pub(crate) fn next<'s, 'i: 's>(
        &'s mut self,
        rest: &mut &'i [u8],
        mode: Mode,
        limits: &Limits,
    ) -> Option<Frame<'s>> {
        loop {
            match self.state {
                State::Line => {
                    let end = memchr(b'\n', rest);
                    let take = end.map_or(rest.len(), |at| at + 1);
                    if take == 0 {
                        return None;
                    }
                    // The common case: a whole command lies in the input and is not copied.
                    if end.is_some() && self.held.is_empty() && self.fault.is_none() {
                        let (line, after) = rest.split_at(take);
                        if self.look(line, mode, limits).is_ok()
                            && !self.scan.quoted
                            && header(trim(line), self.scan, mode).is_none()
                        {
                            *rest = after;
                            self.scan = Scan::default();
                            return Some(Frame::Line(trim(line)));
                        }
                        self.scan = Scan::default();
                    }
                    let (piece, after) = rest.split_at(take);
                    *rest = after;
                    if let Some(fatal) = self.take(piece, mode, limits) {
                        return Some(Frame::Fatal(fatal));
                    }
                    if end.is_some() {
                        match self.line_ends(mode, limits) {
                            Next::More => {}
                            Next::Line => {
                                self.state = State::Spent;
                                self.reset_counts();
                                return Some(Frame::Line(trim(&self.held)));
                            }
                            Next::Message(literal) => {
                                self.reset_counts();
                                self.state = State::Asked(literal);
                                return Some(Frame::Message(trim(&self.held), literal));
                            }
                            Next::Continue => return Some(Frame::Continue),
                            Next::Faulty(tag, fault) => {
                                self.clear();
                                return Some(Frame::Faulty(tag, fault));
                            }
                            Next::Fatal(fault) => return Some(Frame::Fatal(fault)),
                        }
                    }
                }
                State::Literal(left) => {
                    let piece = split_front(rest, left)?;
                    if piece.contains(&0) {
                        // RFC 3501 §4.3: CHAR8 has no NUL, and literal8 has no business outside APPEND.
                        self.lose(Fault::Nul);
                        self.held.clear();
                    }
                    if self.fault.is_none() {
                        self.reserve(piece.len(), held_limit(mode, limits));
                        self.held.extend_from_slice(piece);
                        self.literal_bytes += piece.len();
                        self.line_start = self.held.len();
                    }
                    self.state = match left - piece.len() as u64 {
                        0 => State::Line,
                        left if self.fault.is_some() => State::Swallow(left),
                        left => State::Literal(left),
                    };
                }
                State::Swallow(left) => {
                    let piece = split_front(rest, left)?;
                    self.state = match left - piece.len() as u64 {
                        0 => State::Line,
                        left => State::Swallow(left),
                    };
                }
                State::Message(0, _) => {
                    self.state = State::Line;
                    return Some(Frame::PartsEnd);
                }
                State::Message(left, binary) => {
                    let piece = split_front(rest, left)?;
                    if !binary && memchr(0, piece).is_some() {
                        self.fault = Some((Tag::default(), Fault::Nul));
                    }
                    self.state = State::Message(left - piece.len() as u64, binary);
                    return Some(Frame::Part(piece.len()));
                }
                State::Spent => self.clear(),
                State::Asked(_) => return None,
            }
        }
    }

    /// Nothing that was given out is kept: it may have been a password.
    pub(crate) fn forget(&mut self) {
        if self.state == State::Spent {
            self.clear();
        }
    }

    /// Makes room for `more` bytes: twice what is held, as usual. Where no more than `most` may be held it is little at
    /// a time, for a stranger is not to be given what he does not use.
    fn reserve(&mut self, more: usize, most: usize) {
        let need = self.held.len() + more;
        if need > self.held.capacity() {
            let room = if most == usize::MAX { 2 * need } else { need.next_multiple_of(STEP) };
            self.held.reserve_exact(room.min(most).max(need) - self.held.len());
        }
    }

    /// The announced message is welcome: its bytes come as [`Frame::Part`]s.
    pub(crate) fn accept(&mut self) {
        if let State::Asked(literal) = self.state {
            self.clear();
            self.state = State::Message(literal.size, literal.binary);
        }
    }

    /// The announced message is not welcome. A peer that waits for `+` sends the next command instead; what
    /// another one sends is thrown away with the rest of its command, and the result says `true`.
    pub(crate) fn refuse(&mut self) -> bool {
        let State::Asked(literal) = self.state else { return false };
        self.clear();
        if !literal.sync {
            self.fault = Some((Tag::default(), Fault::LiteralsTooLarge));
            self.state = if literal.size == 0 { State::Line } else { State::Swallow(literal.size) };
        }
        !literal.sync
    }

    /// The rest of this command is thrown away; it ends with [`Frame::Faulty`].
    pub(crate) fn spoil(&mut self) {
        self.fault = Some((Tag::default(), Fault::LiteralsTooLarge));
        if let State::Message(left, _) = self.state {
            self.state = if left == 0 { State::Line } else { State::Swallow(left) };
        }
    }

    /// Bytes held.
    pub(crate) fn held(&self) -> usize {
        self.held.capacity()
    }

    /// Whether this line piece, a whole one, is free of faults.
    fn look(&mut self, line: &[u8], mode: Mode, limits: &Limits) -> Result<(), Fault> {
        if line.len() > line_limit(mode, limits) + 2 {
            return Err(Fault::LineTooLong);
        }
        if http(line) {
            return Err(Fault::Http);
        }
        self.scan.feed(line, mode, limits)
    }

    /// Adds a part of a line to what is held, or to nothing when the command is lost.
    fn take(&mut self, piece: &[u8], mode: Mode, limits: &Limits) -> Option<Fault> {
        let mut rest = piece;
        if self.fault.is_none() {
            let text = self.held.len() - self.literal_bytes;
            let most = held_limit(mode, limits);
            let room = (line_limit(mode, limits) + 2)
                .saturating_sub(text)
                .min(most - self.held.len().min(most));
            let fits;
            (fits, rest) = piece.split_at(room.min(piece.len()));
            self.reserve(fits.len(), most);
            self.held.extend_from_slice(fits);
            if self.literal_count == 0 && http(&self.held) {
                return Some(Fault::Http);
            }
            if let Err(fault) = self.scan.feed(fits, mode, limits) {
                self.lose(fault);
            } else if !rest.is_empty() {
                if mode != Mode::User {
                    return Some(Fault::LineTooLong);
                }
                self.lose(Fault::LineTooLong);
            }
        }
        if !rest.is_empty() {
            self.swallowed += rest.len() as u64;
            if self.swallowed > limits.literals as u64
                || (mode == Mode::Guest && self.swallowed > limits.line as u64)
            {
                return Some(Fault::LineTooLong);
            }
            // The scan goes on, for a literal that the client believes in must not be read as commands.
            let _ = self.scan.feed(
                rest,
                Mode::User,
                &Limits { nesting: u32::MAX, ..Limits::default() },
            );
            self.keep_tail(rest);
        }
        None
    }

    /// The line that is held has come to its end.
    fn line_ends(&mut self, mode: Mode, limits: &Limits) -> Next {
        let line = trim(&self.held);
        let last = trim(self.held.get(self.line_start..).unwrap_or_default());
        let header = header(last, self.scan, mode);
        let quoted = self.scan.quoted;
        self.scan.quoted = false;
        self.scan.escaped = false;
        let literal = match header {
            None if quoted && mode != Mode::Plain && last.ends_with(b"+}") => {
                return Next::Fatal(Fault::Literal);
            }
            None => {
                return match self.fault {
                    Some((tag, fault)) => Next::Faulty(tag, fault),
                    None => Next::Line,
                };
            }
            Some(Ok(literal)) => literal,
            // RFC 7888 §4: what can't be counted can't be skipped.
            Some(Err(sync)) if !sync => return Next::Fatal(Fault::Literal),
            Some(Err(_)) => {
                self.lose(Fault::Literal);
                let (tag, fault) = self.fault.unwrap_or((Tag::default(), Fault::Literal));
                return Next::Faulty(tag, fault);
            }
        };
        if self.fault.is_none() {
            let message = match mode {
                Mode::User => wants_message(line),
                Mode::AppendTail => true,
                Mode::Guest | Mode::Plain => false,
            };
            if message {
                return Next::Message(literal);
            }
            let (sum, count) = match mode {
                Mode::Guest => (limits.literals_before_login, limits.literal_count.min(8)),
                Mode::User | Mode::Plain | Mode::AppendTail => {
                    (limits.literals, limits.literal_count)
                }
            };
            // RFC 7888 §5: under LITERAL- a non-synchronising literal has at most 4096 bytes.
            let minus = mode == Mode::Guest && !literal.sync && literal.size > 4096;
            // With what stands around them, so that nothing needs to be checked while they come.
            let whole = (self.held.len() as u64).saturating_add(literal.size)
                > held_limit(mode, limits) as u64;
            if minus || whole || literal.size > (sum - self.literal_bytes.min(sum)) as u64 {
                self.lose(Fault::LiteralsTooLarge);
                if !literal.sync {
                    return Next::Fatal(Fault::LiteralsTooLarge);
                }
            } else if self.literal_count >= count {
                self.lose(Fault::TooManyLiterals);
            } else if literal.binary {
                self.lose(Fault::Literal);
            }
        }
        match self.fault {
            // The peer waits for us, so the next byte begins a command.
            Some((tag, fault)) if literal.sync => Next::Faulty(tag, fault),
            Some(_) => {
                self.swallowed = self.swallowed.saturating_add(literal.size);
                if self.swallowed > limits.literals as u64 {
                    return Next::Fatal(Fault::LiteralsTooLarge);
                }
                self.held.clear();
                self.state =
                    if literal.size == 0 { State::Line } else { State::Swallow(literal.size) };
                Next::More
            }
            None => {
                self.literal_count += 1;
                self.line_start = self.held.len();
                self.state =
                    if literal.size == 0 { State::Line } else { State::Literal(literal.size) };
                if literal.sync { Next::Continue } else { Next::More }
            }
        }
    }

    /// From here on the command is only followed to its end.
    fn lose(&mut self, fault: Fault) {
        if self.fault.is_none() {
            self.fault = Some((Tag::of_line(&self.held), fault));
            let tail = self.held.len().saturating_sub(TAIL).max(self.line_start);
            wipe(self.held.get_mut(..tail).unwrap_or_default());
            self.held.drain(..tail);
            self.held.shrink_to(TAIL);
            self.literal_bytes = 0;
            self.line_start = 0;
        }
    }

    /// Of a lost command's line only the end matters: a literal's header.
    fn keep_tail(&mut self, piece: &[u8]) {
        let piece = piece.get(piece.len().saturating_sub(TAIL)..).unwrap_or(piece);
        self.held.extend_from_slice(piece);
        let surplus = self.held.len().saturating_sub(TAIL);
        self.held.drain(..surplus);
    }

    fn reset_counts(&mut self) {
        self.scan = Scan::default();
        self.literal_bytes = 0;
        self.literal_count = 0;
        self.line_start = 0;
        self.swallowed = 0;
    }

    /// Ready for the next command; what was held may have been a password.
    fn clear(&mut self) {
        self.reset_counts();
        self.state = State::Line;
        self.fault = None;
        wipe(&mut self.held);
        self.held = Vec::new();
    }
}

/// What the end of a line leads to.
enum Next {
    More,
    Line,
    Message(Literal),
    Continue,
    Faulty(Tag, Fault),
    Fatal(Fault),
}

impl Scan {
    /// Follows quotes and brackets through a part of a line.
    fn feed(&mut self, piece: &[u8], mode: Mode, limits: &Limits) -> Result<(), Fault> {
        let (round, square) = match mode {
            Mode::Guest => (limits.nesting_before_login, limits.nesting),
            Mode::User | Mode::AppendTail => (limits.nesting, limits.nesting),
            Mode::Plain => {
                return if memchr(0, piece).is_some() { Err(Fault::Nul) } else { Ok(()) };
            }
        };
        let mut fault = Ok(());
        for &byte in piece {
            match byte {
                0 => fault = fault.and(Err(Fault::Nul)),
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                _ if self.quoted => {}
                // `{` opens what only a line's end can close, so it counts, and its `}` takes it back.
                b'(' | b'{' => self.depth += 1,
                b')' | b'}' => self.depth = self.depth.saturating_sub(1),
                // `[` and `<` may stand in an atom, as in a password before login.
                b'[' | b'<' => self.squares += 1,
                b']' | b'>' => self.squares = self.squares.saturating_sub(1),
                _ => continue,
            }
            if self.depth > round
                || self.squares > square
                || self.depth.saturating_add(self.squares) > limits.nesting
            {
                fault = fault.and(Err(Fault::TooDeep));
            }
        }
        fault
    }
}

/// The literal's header at the end of a line: `Err(sync)` when it looks like one but has no size.
fn header(line: &[u8], scan: Scan, mode: Mode) -> Option<Result<Literal, bool>> {
    if mode == Mode::Plain || scan.quoted {
        return None;
    }
    let inner = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inner)?;
    let (before, digits) = inner.split_at(open);
    let digits = digits.get(1..)?;
    let binary = before.ends_with(b"~");
    let (digits, sync) = match digits.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (digits, true),
    };
    // One way to write a number: no sign, no leading zero, and it fits.
    let canonical =
        digits == b"0" || digits.first().is_some_and(|first| matches!(first, b'1'..=b'9'));
    let size = std::str::from_utf8(digits)
        .ok()
        .filter(|text| canonical && text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|size| *size <= u64::from(u32::MAX));
    Some(size.map(|size| Literal { size, sync, binary }).ok_or(sync))
}

fn line_limit(mode: Mode, limits: &Limits) -> usize {
    match mode {
        Mode::Guest => limits.line_before_login,
        Mode::Plain => limits.line_before_login,
        Mode::User | Mode::AppendTail => limits.line,
    }
}

/// What a command and its literals may have together.
fn held_limit(mode: Mode, limits: &Limits) -> usize {
    match mode {
        Mode::Guest => limits.command_before_login(),
        Mode::Plain => limits.line_before_login + 2,
        // The two bounds apart are enough.
        Mode::User | Mode::AppendTail => usize::MAX,
    }
}

/// A browser was led here; nothing it sends is worth an answer.
fn http(line: &[u8]) -> bool {
    const STARTS: [&[u8]; 6] = [b"GET /", b"POST ", b"HEAD /", b"PUT /", b"OPTIONS ", b"Host:"];
    STARTS
        .iter()
        .any(|start| line.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))
}

/// The line without its end; LF alone ends a line too, as it does for those who type.
fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Takes up to `limit` bytes off the front; `None` when there are none.
fn split_front<'a>(rest: &mut &'a [u8], limit: u64) -> Option<&'a [u8]> {
    let take = usize::try_from(limit).map_or(rest.len(), |limit| limit.min(rest.len()));
    let (front, after) = rest.split_at(take);
    *rest = after;
    (!front.is_empty()).then_some(front)
}

/// By how many bytes what a stranger's command is held in grows.
const STEP: usize = 1 << 10;
/// The longest literal's header that is valid: `~{4294967295+}`, and CRLF.
const TAIL: usize = 32;
