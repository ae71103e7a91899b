//! A message of the model.

use std::ops::Range;

use super::ARRIVAL;
use crate::ask::{Answer, FoundModSeqs, StoreAction};
use crate::date::DateTime;
use crate::fetch::{FetchItems, Keywords, MessageSource, Meta, Rows, SourceError, render_row};
use crate::mime::{Limits, Mime, Parser};
use crate::search::Program;
use crate::sort::Sorter;
use crate::thread::Threader;
use crate::types::{Blob, FlagRow, Flags, ModSeq, Seq, Uid, UidSet};

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) uid: Uid,
    pub(super) flags: Flags,
    pub(super) date: DateTime,
    pub(super) modseq: u64,
    pub(super) email_id: u128,
    pub(super) text: Vec<u8>,
}

impl Message {
    pub(super) fn change(&mut self, action: StoreAction, named: &Flags) {
        let (mine, keywords) = (&mut self.flags.system, &mut self.flags.keywords);
        let unnamed = |keyword: &crate::types::Keyword| {
            !named.keywords.iter().any(|other| other.same(keyword))
        };
        match action {
            StoreAction::Add => {
                *mine |= named.system;
                keywords.retain(unnamed);
                keywords.extend_from_slice(&named.keywords);
            }
            StoreAction::Remove => {
                *mine = *mine & !named.system;
                keywords.retain(unnamed);
            }
            StoreAction::Replace => self.flags = named.clone(),
        }
    }

    pub(super) fn row(&self) -> FlagRow {
        FlagRow { uid: self.uid, flags: self.flags.clone(), modseq: ModSeq(self.modseq) }
    }

    pub(super) fn render(
        &self,
        rows: &mut Rows,
        items: &FetchItems,
        with_flags: bool,
        seq: Seq,
        recent: bool,
    ) -> Result<(), SourceError> {
        render_row(rows, items, with_flags, seq, &self.meta(recent), &mut Text::of(self))
    }

    pub(super) fn matches(&self, program: &Program, recent_floor: u32) -> bool {
        let meta = self.meta(self.uid.0 > recent_floor);
        program.message(&meta, &mut Text::of(self)).unwrap_or(false)
    }

    /// Gives it to a sorter that wants it next.
    pub(super) fn give(&self, sorter: &mut Sorter) {
        let meta = self.meta(false);
        if sorter.give(&meta, &mut Text::of(self)).is_err() {
            sorter.give_bare(Some(&meta));
        }
    }

    /// Gives it to a threader that wants it next.
    pub(super) fn thread(&self, threader: &mut Threader) {
        let meta = self.meta(false);
        if threader.give(&meta, &mut Text::of(self)).is_err() {
            threader.give_bare(Some(&meta));
        }
    }

    fn meta(&self, recent: bool) -> Meta<'_> {
        Meta {
            uid: self.uid,
            flags: self.flags.system,
            recent,
            keywords: Keywords::List(&self.flags.keywords),
            internal_date: self.date,
            size: self.text.len() as u64,
            modseq: ModSeq(self.modseq),
            save_date: Some(ARRIVAL),
            email_id: self.email_id,
            guid: self.email_id,
        }
    }
}

/// The answer of a search that found these, which are in order.
pub(super) fn found_answer<'a>(found: impl Iterator<Item = &'a Message>) -> Answer {
    let (mut uids, mut modseqs) = (UidSet::new(), FoundModSeqs::default());
    for message in found {
        let modseq = ModSeq(message.modseq);
        if uids.is_empty() {
            modseqs.first = modseq;
        }
        modseqs.last = modseq;
        modseqs.highest = modseqs.highest.max(modseq);
        uids.push(message.uid);
    }
    Answer::Found { uids, modseqs }
}

/// The message as FETCH and SEARCH read it.
struct Text<'a> {
    text: &'a [u8],
    mime: Option<Mime>,
    wire: Vec<u8>,
}

impl<'a> Text<'a> {
    fn of(message: &'a Message) -> Self {
        Self { text: &message.text, mime: None, wire: Vec::new() }
    }

    fn parsed(&mut self) -> &Mime {
        let text = self.text;
        self.mime.get_or_insert_with(|| {
            let mut parser = Parser::new(Limits::default());
            parser.feed(text);
            parser.finish()
        })
    }

    fn part(&self, range: Range<u64>) -> Result<&[u8], SourceError> {
        let range = range.start as usize..range.end as usize;
        self.text.get(range).ok_or(SourceError::Corrupt)
    }
}

impl MessageSource for Text<'_> {
    fn len(&self) -> u64 {
        self.text.len() as u64
    }

    fn envelope(&mut self) -> Result<&[u8], SourceError> {
        let mut wire = Vec::new();
        self.parsed().write_envelope(&mut wire);
        self.wire = wire;
        Ok(&self.wire)
    }

    fn body_structure(&mut self, extended: bool) -> Result<&[u8], SourceError> {
        let mut wire = Vec::new();
        self.parsed().write_structure(extended, &mut wire);
        self.wire = wire;
        Ok(&self.wire)
    }

    fn header(&mut self) -> Result<&[u8], SourceError> {
        let end = self.parsed().root().body;
        self.part(0..end)
    }

    fn mime(&mut self) -> Result<&Mime, SourceError> {
        Ok(self.parsed())
    }

    fn read(&mut self, range: Range<u64>) -> Result<&[u8], SourceError> {
        self.part(range)
    }

    fn blob(&mut self) -> Result<Blob, SourceError> {
        Ok(Blob::new(self.text.to_vec()))
    }
}
