//! What the clients of each mailbox ask for, counted.
//!
//! The counts are small, lose an eighth each time the house is looked after while somebody asks, and are kept in a file
//! that may be lost: then fields lie as usual until it is known again how they are read.

use super::kind::{Names, Wants};
use super::plan::Counted;
use index_format::Guid;
use index_format::cache::asked::{self, Pattern};
use std::collections::{BTreeMap, BTreeSet};

/// Mailboxes of an account whose clients are counted; those that ask the least go first.
const MAILBOXES: usize = 64;
/// Different questions of one mailbox.
const PATTERNS: usize = 8;
/// Mailboxes that one stretch of messages is remembered to be in.
const SHARED: usize = 4;

/// What an account's clients ask.
#[derive(Debug, Default)]
pub(super) struct Asked {
    mailboxes: BTreeMap<Guid, Vec<Counted>>,
    /// Which mailboxes' clients have looked at which stretches since these were last put in order.
    stretches: BTreeMap<u32, BTreeSet<Guid>>,
    /// Where each question came to last: a command that goes through a mailbox counts once.
    passes: BTreeMap<(Guid, Wants), u32>,
    /// Somebody has asked since.
    is_new: bool,
}

impl Asked {
    /// What the file says; nothing where it can't be read.
    pub(super) fn read(file: &[u8], owner: Guid) -> Self {
        let mut asked = Self::default();
        for Pattern { mailbox, group, names, count } in asked::read(file, owner) {
            let wants = Wants { group, names: Names::read(&names) };
            asked.add(mailbox, wants, count.into());
        }
        asked
    }

    /// As it stands in a file.
    pub(super) fn write(&self, owner: Guid) -> Vec<u8> {
        let pattern = |mailbox: &Guid, (wants, count): &Counted| Pattern {
            mailbox: *mailbox,
            group: wants.group,
            names: wants.names.as_ref().map_or(Vec::new(), |names| names.written().to_vec()),
            count: u32::try_from(*count).unwrap_or(u32::MAX),
        };
        let patterns = self.mailboxes.iter();
        let patterns: Vec<Pattern> = patterns
            .flat_map(|(mailbox, counted)| counted.iter().map(move |one| pattern(mailbox, one)))
            .collect();
        asked::write(&patterns, owner)
    }

    /// Somebody has looked at a stretch.
    pub(super) fn note(&mut self, mailbox: Guid, number: u32, wants: &Wants) {
        self.is_new = true;
        let shared = self.stretches.entry(number).or_default();
        if shared.len() < SHARED {
            shared.insert(mailbox);
        }
        let before = self.passes.insert((mailbox, wants.clone()), number);
        if before.is_none_or(|before| before >= number) {
            self.add(mailbox, wants.clone(), ONE);
        }
    }

    fn add(&mut self, mailbox: Guid, wants: Wants, count: u64) {
        let of = |counted: &[Counted]| counted.iter().map(|(_, count)| count).sum::<u64>();
        if !self.mailboxes.contains_key(&mailbox) && self.mailboxes.len() >= MAILBOXES {
            let least = self.mailboxes.iter().min_by_key(|(_, counted)| of(counted));
            if let Some(least) = least.map(|(mailbox, _)| *mailbox) {
                self.mailboxes.remove(&least);
            }
        }
        let counted = self.mailboxes.entry(mailbox).or_default();
        match counted.iter_mut().find(|(known, _)| *known == wants) {
            Some((_, known)) => *known = known.saturating_add(count).min(MOST),
            None => {
                if counted.len() >= PATTERNS {
                    let least = counted.iter().enumerate().min_by_key(|(_, (_, count))| *count);
                    least.map(|(at, _)| at).map(|at| counted.swap_remove(at));
                }
                counted.push((wants, count));
            }
        }
    }

    /// What was asked of the stretches that somebody has looked at since the last call, and forgets an eighth of all;
    /// nothing when nobody has asked.
    pub(super) fn due(&mut self) -> Vec<(u32, Vec<Counted>)> {
        if !std::mem::take(&mut self.is_new) {
            return Vec::new();
        }
        let stretches = std::mem::take(&mut self.stretches);
        let due = stretches.into_iter().map(|(number, mailboxes)| {
            let counted = mailboxes.iter().filter_map(|mailbox| self.mailboxes.get(mailbox));
            (number, counted.flatten().map(|(wants, count)| (wants.clone(), count / ONE)).collect())
        });
        let due = due.collect();
        for counted in self.mailboxes.values_mut() {
            counted.iter_mut().for_each(|(_, count)| *count -= (*count).div_ceil(8));
            counted.retain(|(_, count)| *count >= ONE / 8);
        }
        self.mailboxes.retain(|_, counted| !counted.is_empty());
        due
    }
}

/// What one pass of a command through a mailbox counts: so an eighth of it can be lost some times before nothing is left.
const ONE: u64 = 64;
/// And the most there is of one question: a pattern that stops is forgotten in some rounds, however long it went on.
const MOST: u64 = ONE << 12;

#[cfg(test)]
mod tests {
    use super::*;
    use index_format::cache::Group;

    const LIST: Wants = Wants { group: Group(3), names: None };
    const OWNER: Guid = Guid([9; 16]);

    fn of(asked: &mut Asked, number: u32) -> Vec<Counted> {
        let due = asked.due();
        due.into_iter().find(|(found, _)| *found == number).map_or(Vec::new(), |(_, of)| of)
    }

    #[test]
    fn a_command_that_goes_through_a_mailbox_counts_once() {
        let mut asked = Asked::default();
        for _ in 0..3 {
            (0..100).for_each(|number| asked.note(Guid([1; 16]), number, &LIST));
        }
        assert_eq!(of(&mut asked, 99), [(LIST, 3)]);
        assert!(asked.due().is_empty(), "nobody has asked");
    }

    #[test]
    fn what_is_not_asked_any_more_is_forgotten_while_others_ask() {
        let mut asked = Asked::default();
        let other = Wants { group: Group::SUBJECT, names: None };
        (0..1000).for_each(|_| asked.note(Guid([1; 16]), 7, &other));
        let mut rounds = 0;
        loop {
            asked.note(Guid([1; 16]), 7, &LIST);
            let counted = of(&mut asked, 7);
            if !counted.iter().any(|(wants, _)| *wants == other) {
                break;
            }
            rounds += 1;
        }
        assert!((20..100).contains(&rounds), "{rounds}");
    }

    #[test]
    fn counts_are_few_and_outlive_a_restart() {
        let mut asked = Asked::default();
        for number in 0..200 {
            for group in 1..20 {
                let wants = Wants { group: Group(group), names: None };
                asked.note(Guid([number; 16]), 0, &wants);
            }
        }
        let file = asked.write(OWNER);
        assert!(file.len() < 30 * MAILBOXES * PATTERNS, "{} bytes", file.len());
        let again = Asked::read(&file, OWNER);
        assert_eq!(again.mailboxes, asked.mailboxes);
        assert_eq!(again.mailboxes.len(), MAILBOXES);
        assert!(again.mailboxes.values().all(|counted| counted.len() <= PATTERNS));
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 4;
            assert!(Asked::read(&damaged, OWNER).mailboxes.is_empty(), "at {at}");
        }
        assert!(Asked::read(&file, Guid([8; 16])).mailboxes.is_empty());
        assert!(Asked::read(&[], OWNER).mailboxes.is_empty());
    }
}
