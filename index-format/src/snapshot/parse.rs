//! A whole snapshot in memory.

use super::{Column, Head, Header, SectionId, UidIndex};
use crate::Error;
use crate::mailbox::{Mailbox, Parts};

/// A snapshot, borrowed. What a section says is checked when it is asked for.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    head: Head,
    file: &'a [u8],
}

impl<'a> Snapshot<'a> {
    /// Reads the header and the table of sections.
    ///
    /// # Errors
    /// As [`Head::parse`].
    pub fn parse(file: &'a [u8]) -> Result<Snapshot<'a>, Error> {
        Ok(Snapshot { head: Head::parse(file, file.len() as u64)?, file })
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.head.header
    }

    /// The sections there are, ascending, also those this version does not know.
    pub fn sections(&self) -> impl Iterator<Item = SectionId> + '_ {
        self.head.sections().iter().map(|section| section.id)
    }

    /// Where a section stands in the file, and how many bytes it has.
    pub fn place(&self, id: SectionId) -> Option<(u64, u64)> {
        self.head.section(id).map(|section| (section.at, section.len))
    }

    /// The bytes of a section whose checksum matches; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Checksum`].
    pub fn section(&self, id: SectionId) -> Result<Option<&'a [u8]>, Error> {
        let Some(section) = self.head.section(id) else { return Ok(None) };
        let bytes = self.bytes(&section);
        section.check(bytes)?;
        Ok(Some(bytes))
    }

    /// The UIDs.
    ///
    /// # Errors
    /// A section that is not there or does not check out.
    pub fn uids(&self) -> Result<UidIndex<'a>, Error> {
        let (bytes, at) = self.required(SectionId::UIDS)?;
        UidIndex::parse(bytes, self.header().counters.messages, self.header().uidnext, at)
    }

    /// A column; the [`SectionId`] says what its numbers are.
    ///
    /// # Errors
    /// A section that is not there or does not check out.
    pub fn column(&self, id: SectionId) -> Result<Column<'a>, Error> {
        let (bytes, at) = self.required(id)?;
        Column::parse(bytes, self.header().counters.messages as usize, at)
    }

    /// The first thing that does not fit.
    pub fn verify(&self) -> Result<(), Error> {
        for section in self.head.sections() {
            section.check(self.bytes(section))?;
        }
        self.to_mailbox().map(|_| ())
    }

    /// The state, from which the log goes on at [`Header::position`], with all its parts.
    ///
    /// # Errors
    /// The first thing that does not check out or fit.
    pub fn to_mailbox(&self) -> Result<Mailbox, Error> {
        let mut mailbox = self.head.open(|section| Ok::<_, Error>(self.bytes(section)))?;
        mailbox.load(Parts::ALL, |section| Ok::<_, Error>(self.bytes(section)))?;
        Ok(mailbox)
    }

    fn required(&self, id: SectionId) -> Result<(&'a [u8], u64), Error> {
        let section = self.head.required(id)?;
        let bytes = self.bytes(&section);
        section.check(bytes)?;
        Ok((bytes, section.at))
    }

    fn bytes(&self, section: &super::Section) -> &'a [u8] {
        section.of(self.file)
    }
}
