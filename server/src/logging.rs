//! Logs, on standard error.
//!
//! Lines are gathered in memory and written by a thread of their own: whoever reads standard error slowly, or not at
//! all, slows down no connection. What does not fit is dropped, and the next line says how much that was.
//!
//! Invariants:
//! - One line is one event: what peers sent is shown by [`Escaped`], bounded and without control characters.
//! - Passwords never come here; the types that hold them don't show them.

use crate::config::{Log, LogFormat, LogLevel};
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::MakeWriter;

/// Log lines that wait to be written, in bytes: a second of a busy server.
const HELD_MAX: usize = 4 << 20;

/// After a write, how long lines gather for the next one.
const GATHER: Duration = Duration::from_millis(5);

/// The environment variable that says what is logged, as in `debug` or `info,loft::service=trace`.
pub const FILTER: &str = "LOFT_LOG";

/// Starts logging to standard error for the whole process, unless someone already does. Lines that wait are written
/// when the returned value is dropped.
#[must_use]
pub fn start(log: Log) -> Logging {
    let logging = Logging::to(io::stderr(), log.format);
    let filter = EnvFilter::builder()
        .with_default_directive(level(log.level).into())
        .with_env_var(FILTER)
        .from_env_lossy();
    let lines = tracing_subscriber::fmt()
        .with_writer(Lines(logging.held.clone()))
        .with_env_filter(filter)
        .with_target(false);
    let _already_started = match log.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        // Control characters can't come through: JSON has none.
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
    };
    logging
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}

/// Lines on their way, and the thread that writes them.
#[derive(Debug)]
pub struct Logging {
    held: Arc<Held>,
    writer: Option<JoinHandle<()>>,
}

impl Logging {
    fn to(out: impl Write + Send + 'static, format: LogFormat) -> Self {
        let held = Arc::new(Held { format, ..Held::default() });
        let writer = thread::Builder::new().name("log".into()).spawn({
            let held = held.clone();
            move || held.write_to(out)
        });
        // Without a thread there are no logs; the mail is more important.
        Self { held, writer: writer.ok() }
    }
}

impl Logging {
    /// Waits until what was logged so far is written, at most a second: for an end that runs no destructors.
    pub(crate) fn flush(&self) -> impl Fn() + Send + use<> {
        let held = self.held.clone();
        move || {
            for _ in 0..100 {
                thread::sleep(Duration::from_millis(10));
                if held.lines().bytes.is_empty() {
                    break;
                }
            }
        }
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.held.lines().stopping = true;
        self.held.more.notify_one();
        if let Some(writer) = self.writer.take() {
            let _panicked = writer.join();
        }
    }
}

#[derive(Debug, Default)]
struct Held {
    format: LogFormat,
    lines: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    stopping: bool,
}

impl Held {
    fn lines(&self) -> MutexGuard<'_, Waiting> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut lines = self.lines();
        if lines.bytes.len() + line.len() > HELD_MAX {
            lines.dropped += 1;
            return;
        }
        let first = lines.bytes.is_empty();
        lines.bytes.extend_from_slice(line);
        drop(lines);
        if first {
            self.more.notify_one();
        }
    }

    fn write_to(&self, mut out: impl Write) {
        let mut taken = Vec::new();
        loop {
            let mut lines = self.lines();
            while lines.bytes.is_empty() && !lines.stopping {
                lines = self.more.wait(lines).unwrap_or_else(PoisonError::into_inner);
            }
            mem::swap(&mut lines.bytes, &mut taken);
            let (dropped, stopping) = (mem::take(&mut lines.dropped), lines.stopping);
            drop(lines);
            // Standard error may be closed; there is nobody to tell.
            let _closed = out.write_all(&taken);
            if dropped > 0 {
                let text = format!(
                    "{dropped} log lines were dropped here: standard error is read too slowly"
                );
                let _closed = match self.format {
                    LogFormat::Text => writeln!(out, "{text}"),
                    LogFormat::Json => {
                        let line = serde_json::json!({"level": "WARN", "message": text});
                        writeln!(out, "{line}")
                    }
                };
            }
            let _closed = out.flush();
            if stopping {
                return;
            }
            taken.clear();
            taken.shrink_to(1 << 16);
            thread::sleep(GATHER);
        }
    }
}

/// Gives each event a writer; the formatter calls it once with the whole line.
struct Lines(Arc<Held>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

struct Line<'a>(&'a Held);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shows what a peer sent: at most [`Escaped::MAX`] bytes, and anything but printable ASCII as `\n` or `\x1b`.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl Escaped<'_> {
    /// The most bytes shown; `…` stands for the rest.
    pub const MAX: usize = 200;
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..Self::MAX).unwrap_or(self.0);
        for chunk in shown.escape_ascii() {
            f.write_char(char::from(chunk))?;
        }
        if shown.len() < self.0.len() { f.write_char('…') } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn what_peers_send_is_bounded_and_has_no_control_characters() {
        assert_eq!(Escaped(b"a\r\n\x1b[31m\xff\"").to_string(), "a\\r\\n\\x1b[31m\\xff\\\"");
        let long = Escaped(&[b'x'; 1000]).to_string();
        assert_eq!(long.chars().count(), Escaped::MAX + 1);
        assert!(long.ends_with('…'));
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_before_the_end() {
        let sink = Sink::default();
        let logging = Logging::to(sink.clone(), LogFormat::Text);
        for n in 0..100 {
            logging.held.push(format!("line {n}\n").as_bytes());
        }
        drop(logging);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert!(text.lines().eq((0..100).map(|n| format!("line {n}"))), "{text}");
    }

    /// A reader that has stopped: the first write waits until the test lets go.
    struct Stuck(mpsc::Sender<()>, mpsc::Receiver<()>, Sink);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _gone = self.0.send(());
            let _gone = self.1.recv();
            self.2.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_delays_nobody_and_costs_lines() {
        let sink = Sink::default();
        let (begun, has_begun) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let logging = Logging::to(Stuck(begun, may_go_on, sink.clone()), LogFormat::Text);
        logging.held.push(b"first\n");
        has_begun.recv().unwrap();
        let line = [b'x'; 1 << 10];
        for _ in 0..HELD_MAX / line.len() + 3 {
            logging.held.push(&line);
        }
        drop(go_on);
        drop(logging);
        let text = sink.0.lock().unwrap();
        let tail = b"3 log lines were dropped here: standard error is read too slowly\n";
        assert_eq!(text.len(), "first\n".len() + HELD_MAX + tail.len());
        assert!(text.ends_with(tail));
    }
}
