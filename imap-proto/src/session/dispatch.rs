//! From lines and answers to the method that knows what to do.

use super::tell::{FlagsOf, Reply, Shown, Tell};
use super::{End, Phase, Session, Work};
use crate::ask::{Answer, Changes, Code};
use crate::frame::Fault;
use crate::parse::command::{Needs, Verb};
use crate::parse::{Cursor, Error};
use crate::tag::Tag;
use crate::types::{Position, Ticket, Time};

impl Session {
    /// A line came; `more` says whether bytes behind it are there already.
    pub(super) fn on_line(&mut self, now: Time, line: &[u8], more: bool) {
        if let Work::Sasl(_) = self.work {
            self.on_sasl_line(line);
        } else if let Work::Idle(_) = self.work {
            self.on_idle_line(line);
        } else if let Work::Append(_) = self.work {
            self.on_append_tail(line);
        } else {
            self.on_command(line, more);
        }
        self.advance(now);
    }

    /// A command that can't be taken is over.
    pub(super) fn on_faulty(&mut self, tag: Tag, fault: Fault) {
        if let Work::Append(_) = self.work {
            self.on_append_lost(fault);
            return;
        }
        let error = match fault {
            Fault::LineTooLong => Error::Limit("command line"),
            Fault::LiteralsTooLarge => Error::Limit("literal"),
            Fault::TooManyLiterals => Error::Limit("literals"),
            Fault::TooDeep => Error::Limit("nested brackets"),
            Fault::Nul => Error::State("NUL is not allowed here"),
            Fault::Literal => Error::Expected("a literal with a size"),
            Fault::Http => Error::Unknown("command"),
        };
        if let Work::Idle(idle) = &mut self.work {
            // A question may be open; the command ends after its answer.
            idle.done = Some(Reply::of(&error));
            return;
        }
        // A line that isn't a command belongs to the one that asked for it.
        if !matches!(self.work, Work::Sasl(_)) {
            self.tag = tag;
        }
        self.fail(error);
    }

    fn on_command(&mut self, line: &[u8], more: bool) {
        let mut cursor = Cursor::new(line);
        let tag = cursor.run(|byte| byte != b' ');
        let Some(tag) = Tag::new(tag, self.limits().tag) else {
            self.tag = Tag::default();
            return self.fail(Error::Expected("a tag"));
        };
        self.tag = tag;
        self.may_shrink = true;
        let verb = match cursor.space().ok().and_then(|()| Verb::parse(&mut cursor)) {
            Some(verb) => verb,
            None => return self.fail(Error::Unknown("command")),
        };
        self.may_shrink = verb.may_shrink();
        match (verb.needs(), &self.phase) {
            (Needs::Nothing, _)
            | (Needs::Guest, Phase::Guest)
            | (Needs::User, Phase::User | Phase::Selected(_))
            | (Needs::Mailbox, Phase::Selected(_)) => {}
            (Needs::Guest, _) => return self.fail(Error::State("Already logged in")),
            (Needs::User | Needs::Mailbox, Phase::Guest) => {
                return self.fail(Error::State("Log in first"));
            }
            (Needs::Mailbox, Phase::User) => {
                return self.fail(Error::State("No mailbox is selected"));
            }
        }
        match self.start(verb, &mut cursor, more) {
            Ok(()) => self.syntax_errors = 0,
            Err(error) => self.fail(error),
        }
    }

    /// Starts a command; on an error nothing was started.
    fn start(&mut self, verb: Verb, cursor: &mut Cursor<'_>, more: bool) -> Result<(), Error> {
        match verb {
            Verb::Capability => {
                cursor.end()?;
                self.on_capability();
            }
            Verb::Noop | Verb::Check => {
                cursor.end()?;
                self.finish_looking(Reply::ok("Done"));
            }
            Verb::Id => self.on_id(cursor)?,
            Verb::Logout => {
                cursor.end()?;
                self.on_logout();
            }
            Verb::StartTls => {
                cursor.end()?;
                self.on_starttls(more)?;
            }
            Verb::Login => self.on_login(cursor)?,
            Verb::Authenticate => self.on_authenticate(cursor)?,
            Verb::Enable => self.on_enable(cursor)?,
            Verb::Namespace => {
                cursor.end()?;
                // RFC 2342 §5: one personal namespace without a prefix.
                self.out.put(b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
                self.finish(Reply::ok("Done"));
            }
            Verb::Select => self.on_select(cursor, false)?,
            Verb::Examine => self.on_select(cursor, true)?,
            Verb::Unselect | Verb::Close => {
                cursor.end()?;
                self.on_close(verb == Verb::Close);
            }
            Verb::Create => self.on_create(cursor)?,
            Verb::Delete => self.on_delete(cursor)?,
            Verb::Rename => self.on_rename(cursor)?,
            Verb::Subscribe => self.on_subscribe(cursor, true)?,
            Verb::Unsubscribe => self.on_subscribe(cursor, false)?,
            Verb::List => self.on_list(cursor)?,
            Verb::Lsub => self.on_lsub(cursor)?,
            Verb::Status => self.on_status(cursor)?,
            // With a literal it would have come as a message.
            Verb::Append => return Err(Error::Expected("a message as a literal")),
            Verb::Idle => {
                cursor.end()?;
                self.on_idle();
            }
            Verb::Expunge => {
                cursor.end()?;
                self.on_expunge(None)?;
            }
            Verb::UidExpunge => self.on_expunge(Some(cursor))?,
            Verb::Fetch => self.on_fetch(cursor, false)?,
            Verb::UidFetch => self.on_fetch(cursor, true)?,
            Verb::Store => self.on_store(cursor, false)?,
            Verb::UidStore => self.on_store(cursor, true)?,
            Verb::Copy => self.on_copy(cursor, false, false)?,
            Verb::UidCopy => self.on_copy(cursor, true, false)?,
            Verb::Move => self.on_copy(cursor, false, true)?,
            Verb::UidMove => self.on_copy(cursor, true, true)?,
            Verb::Search => self.on_search(cursor, false)?,
            Verb::UidSearch => self.on_search(cursor, true)?,
            Verb::Sort => self.on_sort(cursor, false)?,
            Verb::UidSort => self.on_sort(cursor, true)?,
            Verb::Thread => self.on_thread(cursor, false)?,
            Verb::CancelUpdate => self.on_cancel_update(cursor)?,
            Verb::UidThread => self.on_thread(cursor, true)?,
        }
        Ok(())
    }

    /// The command is refused; who errs too often in a row is no mail client.
    pub(super) fn fail(&mut self, error: Error) {
        let counts = match error {
            Error::Expected(_) | Error::Unknown(_) | Error::Limit(_) => true,
            Error::State(_) => matches!(self.phase, Phase::Guest),
            Error::NoMessage | Error::Name(_) | Error::Charset => false,
        };
        if counts {
            self.syntax_errors += 1;
        }
        let reply = Reply::of(&error);
        if self.syntax_errors >= self.limits().syntax_errors {
            let tag = self.tag;
            self.out.write(|out| reply.write(out, tag));
            self.bye(None, "Too many syntax errors");
            return;
        }
        // Nothing is told with an error that the client can't place: no look at the mailbox.
        self.work = Work::Nothing;
        self.told.push_back(Tell::Reply(reply));
    }

    /// The answer that was waited for.
    pub(super) fn on_answer(&mut self, now: Time, answer: Answer) {
        let work = std::mem::replace(&mut self.work, Work::Nothing);
        match (work, answer) {
            (Work::Login, answer) => self.on_login_answer(now, answer),
            (Work::Append(append), answer) => self.on_append_answer(append, answer),
            (Work::Idle(idle), Answer::Changes(changes)) => {
                self.work = Work::Idle(idle);
                self.on_changes(*changes);
            }
            (Work::Idle(idle), answer) => {
                self.work = Work::Idle(idle);
                self.on_update(answer);
            }
            (Work::Update(reply), answer) => {
                self.work =
                    if self.on_update(answer) { Work::Update(reply) } else { Work::Finish(reply) };
            }
            (Work::Changes(reply), Answer::Changes(changes)) => {
                self.work = Work::Finish(reply);
                self.on_changes(*changes);
            }
            // What the command did is done: a look that failed doesn't undo it. The next command looks again.
            (Work::Changes(reply), _) => {
                if let Phase::Selected(mailbox) = &mut self.phase {
                    mailbox.changed = true;
                }
                self.told.push_back(Tell::Reply(reply));
            }
            (Work::List(listing), answer) => self.on_list_answer(listing, answer),
            (Work::Select(opening), answer) => self.on_select_answer(opening, answer),
            (Work::Fetch(fetching), answer) => self.on_fetch_answer(fetching, answer),
            (Work::CloseExpunge, answer) => self.on_close_answer(answer),
            (Work::Search(searching), Answer::No { code, text }) => {
                self.forget_saved(searching.wanted.save);
                self.finish(Reply::no(code, text));
            }
            (Work::Sort(sorting), answer) => self.on_sort_answer(&sorting, answer),
            (Work::Thread { by_uid }, answer) => self.on_thread_answer(by_uid, answer),
            (Work::Delete(name, line), Answer::Done { position }) => {
                self.on_deleted(&name, line, position);
            }
            (Work::Rename(from, to, line), Answer::Done { position }) => {
                self.on_renamed((&from, &to), line, position);
            }
            (Work::Simple(text), Answer::Done { position }) => {
                if self.depends_on(position) {
                    self.finish(Reply::ok(text));
                }
            }
            (Work::Status(status), Answer::Status(answer)) => {
                self.on_status_answer(&status, &answer)
            }
            (Work::Create(line), Answer::Created { mailbox_id, position }) => {
                self.on_created(line, mailbox_id, position);
            }
            (Work::Store(storing), Answer::Stored(stored)) => self.on_stored(storing, stored),
            (Work::Copy(copying), Answer::Copied { uidvalidity, from, to, position }) => {
                self.on_copied(copying, uidvalidity, &from, &to, position);
            }
            (Work::Expunge, Answer::Done { position }) => {
                if self.depends_on(position) {
                    self.finish_looking(Reply::ok("Expunged"));
                }
            }
            (Work::Search(searching), Answer::Found { uids, modseqs }) => {
                self.on_found(*searching, &uids, modseqs)
            }
            (_, answer) => self.finish(Reply::refusal(answer)),
        }
    }

    /// An answer to a question that isn't waited for: only a refusal of the message being received matters.
    pub(super) fn on_late_answer(&mut self, ticket: Ticket, answer: Answer) {
        if let (Work::Append(append), Answer::No { code, text }) = (&mut self.work, answer)
            && append.refused_late(ticket, Reply::no(code, text))
        {
            self.framer.spoil();
        }
    }

    /// What is told from here on waits until `position` is durable. `false` when it never will be: the session has
    /// ended then.
    pub(super) fn depends_on(&mut self, position: Position) -> bool {
        if self.out.barrier(position) {
            return true;
        }
        self.work = Work::Simple("");
        self.on_lost(Vec::new());
        false
    }

    /// Lets work go on that isn't waiting; `false` when there is nothing to do.
    pub(super) fn go_on(&mut self) -> bool {
        if let Work::Nothing = self.work {
            return false;
        }
        if let Work::Idle(_) = self.work {
            return self.go_on_idle();
        }
        if let Work::List(_) = self.work {
            return self.go_on_list();
        }
        // The next batch is asked for when the output falls below half.
        let room = self.out.len() < self.limits().unsent as u64 / 2;
        match (std::mem::replace(&mut self.work, Work::Nothing), room) {
            (Work::Finish(reply), _) => self.say_what_changed(reply),
            (Work::Fetch(fetching), true) => self.next_batch(fetching),
            (other, _) => {
                self.work = other;
                return false;
            }
        }
        true
    }

    /// A command is done: what else happened is told, then that it is done.
    fn say_what_changed(&mut self, reply: Reply) {
        if let Phase::Selected(mailbox) = &mut self.phase
            && (mailbox.changed || (self.may_shrink && mailbox.shrink_due))
        {
            let ask = mailbox.changes(self.may_shrink);
            self.ask(ask);
            self.work = Work::Changes(reply);
        } else if self.ask_for_updates() {
            self.work = Work::Update(reply);
        } else {
            self.told.push_back(Tell::Reply(reply));
        }
    }

    /// Takes up what happened to the mailbox and tells it.
    fn on_changes(&mut self, changes: Changes) {
        if !self.depends_on(changes.position) {
            return;
        }
        if changes.vanished {
            // What the command did is done, whatever became of the mailbox: a NO to APPEND would have it sent again.
            if let Work::Finish(reply) = std::mem::replace(&mut self.work, Work::Nothing) {
                let tag = self.tag;
                self.out.write(|out| reply.write(out, tag));
                self.out.replied(tag);
            }
            self.bye(Some(Code::NonExistent), "Mailbox is gone");
            return;
        }
        // RFC 9051 appendix E: what nobody asked for has its UID, and \Recent is gone.
        let shown = Shown { uid: self.tells_uids(), modseq: self.condstore, flags: FlagsOf::All };
        let Phase::Selected(mailbox) = &mut self.phase else { return };
        mailbox.cursor = changes.cursor;
        mailbox.changed |= changes.more;
        let results = mailbox.contexts.remove(&changes.expunged, &mailbox.view);
        if !results.is_empty() {
            self.told.push_back(Tell::Line(results));
        }
        let gone = mailbox.view.remove(&changes.expunged);
        if !gone.is_empty() {
            self.told.push_back(Tell::Expunged(gone));
        }
        let before = mailbox.view.len();
        // Come and gone since the last look: never there.
        mailbox.view.add(&changes.added.subtract(&changes.expunged));
        if !changes.recent.is_empty() && self.names == crate::parse::Names::Rev1 {
            mailbox.recent = std::sync::Arc::new(mailbox.recent.union(&changes.recent));
        }
        mailbox.contexts.touch(&changes.added);
        mailbox.contexts.touch(&changes.flags.iter().map(|row| row.uid).collect());
        if mailbox.view.len() != before {
            self.told.push_back(Tell::Exists);
        }
        if let Some(keywords) = changes.keywords {
            mailbox.keywords = keywords;
            self.told.push_back(Tell::Keywords);
        }
        if !changes.flags.is_empty() {
            self.told.push_back(Tell::Flags { rows: changes.flags.into_iter(), shown });
        }
        if !changes.more {
            self.on_looked((!changes.withheld).then_some(changes.highest_modseq));
        }
    }

    fn on_logout(&mut self) {
        let tag = self.tag;
        self.out.put(b"* BYE Logging out\r\n");
        self.out.write(|out| Reply::ok("Goodbye").write(out, tag));
        self.out.replied(tag);
        self.drop_work();
        self.end = End::Closing;
    }
}
