//! The server's own UNIX socket, by which those who run it ask how it is and end sessions.
//!
//! It is `control` in the data directory, for the server's user and root alone. A connection sends one line, a
//! [`protocol::Request`] in JSON, and gets lines of JSON, the last of which is [`protocol::Reply::Done`] or
//! [`protocol::Reply::Error`]; then it is closed. Or it becomes an IMAP session: [`protocol::Command::Imap`].
//! Invariants:
//! - A request is at most [`REQUEST_MAX`] bytes and comes within [`REQUEST_TIME`]; there are at most [`CONNECTIONS`].
//! - What is asked is looked up on a thread of its own: who serves mail is not held up by who looks.
//! - Lines that the other side does not take are at most [`UNTAKEN_MAX`] bytes; who makes them waits.

mod answer;
pub(crate) mod backups;
pub mod client;
pub(crate) mod mailboxes;
pub mod protocol;

use crate::service::Shared;
use protocol::{Command, Reply};
use runtime_smol::{Listener, Machine, Options, Output, Peer, Server, Time, Tls};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use tracing::warn;

/// The longest request, in bytes.
pub const REQUEST_MAX: usize = 4096;

/// How long a request may take to come, in milliseconds.
pub const REQUEST_TIME: u64 = 10_000;

/// Connections at once; others are told so.
pub const CONNECTIONS: usize = 16;

/// Bytes of answers that wait to be sent, but for one line.
pub const UNTAKEN_MAX: usize = 1 << 20;

/// The socket of the server that has its mail in `data`.
#[must_use]
pub fn path(data: &Path) -> PathBuf {
    data.join("control")
}

/// Listens for those who run the server. Without it the server serves all the same, and says so in the log.
pub(crate) fn listen(server: &Server, shared: &Arc<Shared>) {
    let path = path(shared.store().root());
    match Listener::unix(&path, 0o600, None) {
        Ok(listener) => {
            let (shared, open) = (shared.clone(), Arc::new(AtomicUsize::new(0)));
            let options = Options::new("control", Tls::Never);
            server.listen(listener, options, move |now, peer: &Peer| {
                Control::new(&shared, &open, peer, now)
            });
        }
        Err(error) => {
            warn!(socket = %path.display(), %error, "nobody can ask this server how it is: its control socket can't be made");
        }
    }
}

/// One connection.
struct Control {
    shared: Arc<Shared>,
    open: Arc<AtomicUsize>,
    peer: Peer,
    step: Step,
    deadline: Time,
}

enum Step {
    /// What came of the request.
    Asking(Vec<u8>),
    /// More of the answer may come: what has, and how much of it has left.
    Answering(Arc<Lines>, Vec<u8>, usize),
    /// The end of the answer, and how much of it has left.
    Telling(Vec<u8>, usize),
    /// It is another protocol's.
    Session(Box<dyn Machine + Send>),
    Over,
}

/// Lines on their way from the thread that answers to the connection.
#[derive(Default)]
struct Lines {
    state: Mutex<LinesState>,
    taken: Condvar,
}

#[derive(Default)]
struct LinesState {
    bytes: Vec<u8>,
    /// There will be no more.
    ended: bool,
    /// Nobody wants them any more.
    unwanted: bool,
    waker: Option<Waker>,
    /// What the connection is from now on.
    session: Option<Box<dyn Machine + Send>>,
}

impl Lines {
    fn state(&self) -> MutexGuard<'_, LinesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the connection a line; waits while it has many. Whether anybody still wants them.
    fn push(&self, line: &[u8]) -> bool {
        let full = |state: &mut LinesState| state.bytes.len() >= UNTAKEN_MAX && !state.unwanted;
        let waited = self.taken.wait_while(self.state(), full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if !state.unwanted {
            state.bytes.extend_from_slice(line);
        }
        let wanted = !state.unwanted;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        wanted
    }

    /// Ends them with what the connection is from now on.
    fn hand_over(&self, session: Box<dyn Machine + Send>) {
        self.state().session = Some(session);
    }

    fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Has `cx` woken once there is more.
    fn register(&self, cx: &Context<'_>) {
        self.state().waker = Some(cx.waker().clone());
    }

    /// Takes what is there, and whether that was all.
    fn take(&self) -> (Vec<u8>, bool) {
        let mut state = self.state();
        let bytes = std::mem::take(&mut state.bytes);
        self.taken.notify_one();
        (bytes, state.ended)
    }

    fn give_up(&self) {
        self.state().unwanted = true;
        self.taken.notify_one();
    }
}

/// Ends the lines, also when whoever makes them panics.
struct Ending(Arc<Lines>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Control {
    fn new(shared: &Arc<Shared>, open: &Arc<AtomicUsize>, peer: &Peer, now: Time) -> Self {
        let step = if open.fetch_add(1, Ordering::Relaxed) < CONNECTIONS {
            Step::Asking(Vec::new())
        } else {
            tell(&Reply::Error("too many are asking at once; try again".to_owned()))
        };
        let deadline = Time(now.0.saturating_add(REQUEST_TIME));
        let (shared, open, peer) = (shared.clone(), open.clone(), peer.clone());
        Self { shared, open, peer, step, deadline }
    }

    fn ask(&mut self, line: &[u8], now: Time) {
        let command = match answer::command(line) {
            Ok(command) => command,
            Err(refusal) => {
                self.step = Step::Telling(refusal, 0);
                return;
            }
        };
        let (shared, lines) = (self.shared.clone(), Arc::<Lines>::default());
        let (ending, peer) = (Ending(lines.clone()), self.peer.clone());
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
            if let Command::Imap { user } = command {
                match shared.imap_in(&user, &peer, now) {
                    Ok(session) => ending.0.hand_over(session),
                    Err(why) => {
                        ending.0.push(&Reply::Error(why).line());
                    }
                }
            } else {
                answer::answer(&shared, command, &mut |line| ending.0.push(&line));
            }
        });
        self.step = match thread {
            Ok(_) => Step::Answering(lines, Vec::new(), 0),
            Err(error) => tell(&Reply::Error(format!("the system gives no thread: {error}"))),
        };
    }
}

fn tell(reply: &Reply) -> Step {
    Step::Telling(reply.line(), 0)
}

impl Machine for Control {
    fn handle_input(&mut self, now: Time, input: &[u8]) -> usize {
        let asked = match &mut self.step {
            Step::Asking(asked) => asked,
            Step::Session(machine) => return machine.handle_input(now, input),
            Step::Answering(..) => return 0,
            Step::Telling(..) | Step::Over => return input.len(),
        };
        match input.iter().position(|&byte| byte == b'\n') {
            Some(end) if asked.len() + end <= REQUEST_MAX => {
                asked.extend_from_slice(input.get(..end).unwrap_or_default());
                let line = std::mem::take(asked);
                self.ask(&line, now);
                return end + 1;
            }
            None if asked.len() + input.len() <= REQUEST_MAX => asked.extend_from_slice(input),
            Some(_) | None => {
                self.step =
                    tell(&Reply::Error(format!("a request has {REQUEST_MAX} bytes at most")));
            }
        }
        input.len()
    }

    fn read_most(&self) -> usize {
        if let Step::Session(machine) = &self.step { machine.read_most() } else { REQUEST_MAX }
    }

    fn handle_eof(&mut self, now: Time) {
        match &mut self.step {
            Step::Asking(_) => self.step = Step::Over,
            Step::Session(machine) => machine.handle_eof(now),
            Step::Answering(..) | Step::Telling(..) | Step::Over => {}
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        match &mut self.step {
            Step::Asking(_) if now >= self.deadline => self.step = Step::Over,
            Step::Session(machine) => machine.handle_timeout(now),
            Step::Asking(_) | Step::Answering(..) | Step::Telling(..) | Step::Over => {}
        }
    }

    fn handle_upgraded(&mut self, _now: Time, _peer: &Peer) {}

    fn handle_shutdown(&mut self, now: Time) {
        match &mut self.step {
            Step::Asking(_) => {
                self.step = tell(&Reply::Error("the server is stopping".to_owned()));
            }
            Step::Session(machine) => machine.handle_shutdown(now),
            Step::Answering(..) | Step::Telling(..) | Step::Over => {}
        }
    }

    /// It stands behind no door: nothing wants its place.
    fn handle_eviction(&mut self, _now: Time) {
        self.step = Step::Over;
    }

    fn held(&self) -> usize {
        match &self.step {
            Step::Telling(answer, sent) | Step::Answering(_, answer, sent) => answer.len() - sent,
            Step::Session(machine) => machine.held(),
            Step::Asking(_) | Step::Over => 0,
        }
    }

    fn poll_events(&mut self, now: Time, cx: &mut Context<'_>) -> bool {
        let lines = match &mut self.step {
            Step::Session(machine) => return machine.poll_events(now, cx),
            Step::Answering(lines, ..) => lines,
            Step::Asking(_) | Step::Telling(..) | Step::Over => return false,
        };
        // Before the output is looked at, so that nothing is missed that comes behind it.
        lines.register(cx);
        let Some(session) = lines.state().session.take() else { return false };
        self.step = Step::Session(session);
        true
    }

    fn poll_output(&mut self, now: Time) -> Output<'_> {
        if let Step::Answering(lines, answer, sent) = &mut self.step
            && *sent >= answer.len()
        {
            let (bytes, ended) = lines.take();
            if ended {
                self.step = Step::Telling(bytes, 0);
            } else {
                (*answer, *sent) = (bytes, 0);
            }
        }
        match &mut self.step {
            Step::Session(machine) => machine.poll_output(now),
            Step::Asking(_) => Output::Wait { wants_input: true, deadline: Some(self.deadline) },
            Step::Answering(_, answer, sent) => match answer.get(*sent..) {
                None | Some([]) => Output::Wait { wants_input: false, deadline: None },
                Some(rest) => Output::Transmit(rest),
            },
            Step::Telling(answer, sent) => match answer.get(*sent..) {
                None | Some([]) => Output::Close,
                Some(rest) => Output::Transmit(rest),
            },
            Step::Over => Output::Close,
        }
    }

    fn transmitted(&mut self, n: usize) {
        match &mut self.step {
            Step::Telling(_, sent) | Step::Answering(_, _, sent) => *sent += n,
            Step::Session(machine) => machine.transmitted(n),
            Step::Asking(_) | Step::Over => {}
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Step::Answering(lines, ..) = &self.step {
            lines.give_up();
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
