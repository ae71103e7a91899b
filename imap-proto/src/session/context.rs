//! Results that are kept up to date: UPDATE and CANCELUPDATE (RFC 5267 §4.3).
//!
//! A context knows what its command found. Messages that changed, came or went make it *stale*; before the next tagged
//! reply, or at once in IDLE, those messages alone are searched again, and what is different is told. Nothing a message is
//! sorted by ever changes: a SORT is only made again when something is to be put into its place.

use std::sync::Arc;

use super::results::Kept;
use super::sort::{set_of, shown};
use super::tell::{Reply, Tell, uid_set};
use super::{Phase, Session, Work};
use crate::ask::{Answer, Ask};
use crate::fetch::number;
use crate::parse::{Cursor, Error};
use crate::search::{Key, Limits, Program};
use crate::sort::Order;
use crate::tag::Tag;
use crate::types::{Uid, UidSet};
use crate::view::View;

/// The contexts of a selected mailbox.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    list: Vec<Context>,
    /// What is asked for now.
    asking: Option<Asking>,
}

/// A command whose results are kept up to date.
#[derive(Debug)]
struct Context {
    tag: Tag,
    by_uid: bool,
    key: Arc<Key>,
    results: Results,
    /// Messages to be looked at again.
    stale: UidSet,
}

#[derive(Debug)]
enum Results {
    /// Of SEARCH, in the order of the mailbox.
    Set(UidSet),
    /// Of SORT, in its order.
    Sorted(Arc<Order>, Vec<Uid>),
}

/// A question that is open.
#[derive(Debug)]
enum Asking {
    /// Which of these match now?
    Which(Tag, UidSet),
    /// Where do those belong that do?
    Where(Tag),
}

impl Contexts {
    /// Whether a command of this tag has one (RFC 5267 §4.3: then no other may).
    pub(super) fn has(&self, tag: Tag) -> bool {
        self.list.iter().any(|context| context.tag == tag)
    }

    /// These changed, or came.
    pub(super) fn touch(&mut self, uids: &UidSet) {
        if uids.is_empty() {
            return;
        }
        for context in &mut self.list {
            context.stale = context.stale.union(uids);
        }
    }

    /// Takes messages out that are gone; what is to be told before that is (RFC 5267 §4.3.4), in the numbers of `view`,
    /// which still has them.
    pub(super) fn remove(&mut self, gone: &UidSet, view: &View) -> Vec<u8> {
        let mut lines = Vec::new();
        for context in &mut self.list {
            context.stale = context.stale.subtract(gone);
            context.take_out(gone, view, &mut lines);
        }
        lines
    }

    /// The next question.
    fn next(&mut self) -> Option<Ask> {
        let context = self.list.iter_mut().find(|context| !context.stale.is_empty())?;
        let stale = std::mem::take(&mut context.stale);
        let key = Key::And(vec![Key::Uids(stale.clone()), Key::clone(&context.key)]);
        self.asking = Some(Asking::Which(context.tag, stale));
        Some(Ask::Search { program: Arc::new(program(&key)?) })
    }

    /// Takes an answer in; what is to be told, and what is to be asked for it.
    fn answer(&mut self, answer: Answer, view: &View, lines: &mut Vec<u8>) -> Option<Ask> {
        let asking = self.asking.take()?;
        let (Asking::Which(tag, _) | Asking::Where(tag)) = asking;
        let at = self.list.iter().position(|context| context.tag == tag)?;
        let context = self.list.get_mut(at)?;
        match (asking, answer) {
            (Asking::Which(_, asked), Answer::Found { uids, .. }) => {
                let found = view.clip(&uids.intersect(&asked));
                context.take_out(&asked.subtract(&found), view, lines);
                let ask = context.put_in(&found, view, lines)?;
                self.asking = Some(Asking::Where(tag));
                Some(ask)
            }
            (Asking::Where(_), Answer::Sorted { uids, .. }) => {
                context.put_in_place(uids, view, lines);
                None
            }
            // What can't be looked at can't be kept up to date.
            _ => {
                no_update(tag, "Results can't be looked at again", lines);
                self.list.remove(at);
                None
            }
        }
    }

    /// Bytes held beyond the struct.
    pub(super) fn held(&self) -> usize {
        self.list.capacity() * size_of::<Context>()
            + self.list.iter().map(Context::held).sum::<usize>()
            + match &self.asking {
                Some(Asking::Which(_, uids)) => uids.held(),
                Some(Asking::Where(_)) | None => 0,
            }
    }
}

impl Context {
    /// Takes out what is among the results, and says so.
    fn take_out(&mut self, uids: &UidSet, view: &View, lines: &mut Vec<u8>) {
        match &mut self.results {
            Results::Set(results) => {
                let out = results.intersect(uids);
                if !out.is_empty() {
                    *results = results.subtract(&out);
                    begin(lines, self.tag, self.by_uid, "REMOVEFROM");
                    write_unplaced(lines, &out, view, self.by_uid);
                    end(lines);
                }
            }
            Results::Sorted(_, results) => {
                let runs = runs(results, |uid| uids.contains(uid), Counted::Not);
                if !runs.is_empty() {
                    results.retain(|uid| !uids.contains(*uid));
                    begin(lines, self.tag, self.by_uid, "REMOVEFROM");
                    write_runs(lines, &runs, view, self.by_uid);
                    end(lines);
                }
            }
        }
    }

    /// Puts in what is not among the results, and says so, or asks where it belongs.
    fn put_in(&mut self, uids: &UidSet, view: &View, lines: &mut Vec<u8>) -> Option<Ask> {
        match &mut self.results {
            Results::Set(results) => {
                let new = uids.subtract(results);
                if !new.is_empty() {
                    *results = results.union(&new);
                    begin(lines, self.tag, self.by_uid, "ADDTO");
                    write_unplaced(lines, &new, view, self.by_uid);
                    end(lines);
                }
                None
            }
            Results::Sorted(order, results) => {
                let known = set_of(results);
                if uids.subtract(&known).is_empty() {
                    return None;
                }
                let program = Arc::new(program(&Key::Uids(known.union(uids)))?);
                Some(Ask::Sort { program, order: Arc::clone(order) })
            }
        }
    }

    /// Puts in what a sort has put into its place.
    fn put_in_place(&mut self, uids: Vec<Uid>, view: &View, lines: &mut Vec<u8>) {
        let Results::Sorted(_, results) = &self.results else { return };
        let (known, now) = (set_of(results), set_of(&uids));
        // What is expunged is known before it may be told: a context may say so (RFC 5267 appendix A.3).
        self.take_out(&known.subtract(&now), view, lines);
        let runs = runs(&uids, |uid| !known.contains(uid), Counted::Too);
        if !runs.is_empty() {
            begin(lines, self.tag, self.by_uid, "ADDTO");
            write_runs(lines, &runs, view, self.by_uid);
            end(lines);
        }
        self.results = match &self.results {
            Results::Sorted(order, _) => Results::Sorted(Arc::clone(order), uids),
            Results::Set(_) => return,
        };
    }

    fn held(&self) -> usize {
        let results = match &self.results {
            Results::Set(results) => results.held(),
            Results::Sorted(_, results) => results.capacity() * size_of::<Uid>(),
        };
        results + self.stale.held() + self.key.held()
    }
}

impl Session {
    /// Keeps the results of the command that executes up to date from here on, or says that it won't.
    pub(super) fn keep_up_to_date(&mut self, kept: Kept, by_uid: bool, uids: Vec<Uid>) {
        let (most, most_sorted) = (self.limits().contexts, self.limits().sorted_context);
        let tag = self.tag;
        let Phase::Selected(mailbox) = &mut self.phase else { return };
        let contexts = &mut mailbox.contexts;
        let Kept { key, order } = kept;
        let mut line = Vec::new();
        if key.looks_at_threads() {
            // A message that comes, or changes, changes what is found of others.
            no_update(tag, "What INTHREAD finds is not kept up to date", &mut line);
        } else if contexts.list.len() >= most {
            no_update(tag, "Too many contexts", &mut line);
        } else if order.is_some() && uids.len() > most_sorted {
            no_update(tag, "Too many results", &mut line);
        } else {
            let results = match order {
                Some(order) => Results::Sorted(order, uids),
                None => Results::Set(uids.into_iter().collect()),
            };
            contexts.list.push(Context { tag, by_uid, key, results, stale: UidSet::new() });
        }
        if !line.is_empty() {
            self.told.push_back(Tell::Line(line));
        }
    }

    /// CANCELUPDATE (RFC 5267 §4.3.5)
    pub(super) fn on_cancel_update(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        let mut tags = Vec::new();
        loop {
            cursor.space()?;
            let tag = cursor.string()?;
            tags.push(Tag::new(&tag, Tag::MAX).ok_or(Error::Expected("a tag"))?);
            if cursor.end().is_ok() {
                break;
            }
        }
        let Phase::Selected(mailbox) = &mut self.phase else { return Ok(()) };
        let contexts = &mut mailbox.contexts;
        if !tags.iter().all(|tag| contexts.has(*tag)) {
            return Err(Error::State("No results are kept for this tag"));
        }
        contexts.list.retain(|context| !tags.contains(&context.tag));
        self.finish(Reply::ok("No further updates"));
        Ok(())
    }

    /// Asks what has become of stale results; `false` when there are none.
    pub(super) fn ask_for_updates(&mut self) -> bool {
        let Phase::Selected(mailbox) = &mut self.phase else { return false };
        let ask = mailbox.contexts.next();
        ask.map(|ask| self.ask(ask)).is_some()
    }

    /// Tells what has become of them; whether there is another question.
    pub(super) fn on_update(&mut self, answer: Answer) -> bool {
        let Phase::Selected(mailbox) = &mut self.phase else { return false };
        let mut lines = Vec::new();
        let ask = mailbox.contexts.answer(answer, &mailbox.view, &mut lines);
        if !lines.is_empty() {
            self.told.push_back(Tell::Line(lines));
        }
        ask.map(|ask| self.ask(ask)).is_some()
    }

    /// Nobody listens any more, or soon won't: what is being looked at isn't kept up to date. Whether anything was.
    pub(super) fn give_up_updates(&mut self) -> bool {
        let Phase::Selected(mailbox) = &mut self.phase else { return false };
        if mailbox.contexts.asking.is_none() {
            return false;
        }
        mailbox.contexts = Contexts::default();
        self.call_back();
        if let Work::Update(_) = &self.work
            && let Work::Update(reply) = std::mem::replace(&mut self.work, Work::Nothing)
        {
            self.told.push_back(Tell::Reply(reply));
        }
        true
    }
}

fn program(key: &Key) -> Option<Program> {
    let bounds = Limits::default();
    // It has been compiled before, alone.
    Program::compile(key, Limits { depth: bounds.depth + 1, terms: bounds.terms + 2, ..bounds })
        .ok()
}

/// `* NO [NOUPDATE "tag"] text` (RFC 5267 §4.3.1)
fn no_update(tag: Tag, text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* NO [NOUPDATE \"");
    out.extend_from_slice(tag.as_bytes());
    out.extend_from_slice(b"\"] ");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// An ESEARCH response with a list of changes, up to its first pair.
fn begin(out: &mut Vec<u8>, tag: Tag, by_uid: bool, name: &str) {
    out.extend_from_slice(b"* ESEARCH (TAG \"");
    out.extend_from_slice(tag.as_bytes());
    out.extend_from_slice(if by_uid { b"\") UID " } else { b"\") " });
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b" (");
}

fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b")\r\n");
}

/// Results of SEARCH have no place but the mailbox's (RFC 5267 §4.3.3).
fn write_unplaced(out: &mut Vec<u8>, uids: &UidSet, view: &View, by_uid: bool) {
    out.extend_from_slice(b"0 ");
    if by_uid {
        uid_set(out, uids);
    } else {
        uid_set(out, &view.numbers(uids).into_iter().collect());
    }
}

/// Whether those that are named have a place when the next one's is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Counted {
    /// They were put in.
    Too,
    /// They were taken out.
    Not,
}

/// Results that stand one behind the other, each with the place of the first.
fn runs(results: &[Uid], named: impl Fn(Uid) -> bool, counted: Counted) -> Vec<(usize, Vec<Uid>)> {
    let mut runs: Vec<(usize, Vec<Uid>)> = Vec::new();
    let (mut place, mut behind) = (1, false);
    for &uid in results {
        let is_named = named(uid);
        match runs.last_mut() {
            Some((_, run)) if is_named && behind => run.push(uid),
            _ if is_named => runs.push((place, vec![uid])),
            _ => {}
        }
        behind = is_named;
        place += usize::from(!is_named || counted == Counted::Too);
    }
    runs
}

fn write_runs(out: &mut Vec<u8>, runs: &[(usize, Vec<Uid>)], view: &View, by_uid: bool) {
    for ((place, run), index) in runs.iter().zip(0usize..) {
        if index > 0 {
            out.push(b' ');
        }
        number::write(*place as u64, out);
        out.push(b' ');
        let mut numbers = run.iter().map(|uid| shown(view, *uid, by_uid)).peekable();
        let mut first = true;
        while let Some(number) = numbers.next() {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            number::write(u64::from(number), out);
            // RFC 5267 §3.2: a range ascends.
            let mut last = number;
            while let Some(next) = numbers.next_if(|next| Some(*next) == last.checked_add(1)) {
                last = next;
            }
            if last > number {
                out.push(b':');
                number::write(u64::from(last), out);
            }
        }
    }
}
