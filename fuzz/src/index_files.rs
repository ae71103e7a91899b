//! `index_snapshot`, `index_list`, `index_cache`, `index_journal`: parse, call everything, write, parse again.

use crate::index_log::transaction;
use crate::pieces::Pieces;
use index_format::cache::asked::{self, Pattern};
use index_format::cache::sent::{Sent, SentFile, write_sent};
use index_format::cache::{self, CacheFile, Field, Fields, Row};
use index_format::explain::explain;
use index_format::journal::{self, Record};
use index_format::list::{self, List};
use index_format::mailbox::Mailbox;
use index_format::snapshot::{self, Snapshot};
use index_format::{Error, Guid, MapId};

const OWNER: Guid = Guid([3; 16]);

/// Input: a snapshot, or (if the first byte is odd) a number and transactions that lead to one.
pub fn index_snapshot(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 {
        explained(rest);
        let Ok(snapshot) = Snapshot::parse(rest) else { return };
        look_through(&snapshot);
        if let Ok(mailbox) = snapshot.to_mailbox() {
            write_again(&mailbox);
        }
        return;
    }
    let mut pieces = Pieces(rest);
    let damage = pieces.number();
    let mut mailbox = Mailbox::new(1, 0);
    pieces.for_each(|payload| transaction(payload, &mut mailbox));
    let mut file = write_again(&mailbox);
    let at = damage as usize % file.len();
    file[at] ^= 1 << (damage >> 61);
    let found = Snapshot::parse(&file).and_then(|snapshot| {
        look_through(&snapshot);
        snapshot.verify()
    });
    assert!(found.is_err(), "a changed bit at {at} of {} is not noticed", file.len());
}

/// Every file can be explained, whatever is in it.
pub(crate) fn explained(file: &[u8]) {
    let mut words = String::new();
    explain(file, &mut words).expect("a string takes all that is written");
    assert!(!words.is_empty() && !words.contains('\u{1b}'));
}

fn look_through(snapshot: &Snapshot<'_>) {
    if let Ok(uids) = snapshot.uids() {
        assert_eq!(uids.ranges().count() == 0, uids.is_empty());
        for index in (0..uids.len() as u32).step_by(7).take(100) {
            let uid = uids.uid(index).expect("as many as it says");
            assert_eq!(uids.find(uid), Some(index));
        }
    }
    for id in snapshot.sections() {
        if let Ok(column) = snapshot.column(id) {
            assert_eq!(column.iter().take(1_000).count(), column.len().min(1_000));
        }
    }
}

fn write_again(mailbox: &Mailbox) -> Vec<u8> {
    let file = snapshot::write(mailbox, OWNER, 2, 99);
    let snapshot = Snapshot::parse(&file).expect("what was written parses");
    snapshot.verify().expect("and checks out");
    look_through(&snapshot);
    let again = snapshot.to_mailbox().expect("and is a mailbox");
    assert_eq!(*mailbox, again);
    file
}

/// Input: a snapshot of a list, or (if the first byte is odd) transactions that lead to one.
pub fn index_list(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 {
        explained(rest);
        if let Ok((_, list, _)) = List::parse(rest) {
            list_again(&list);
        }
        return;
    }
    let mut list = List::new(1);
    for payload in Pieces(rest) {
        let Ok(transaction) = list::Transaction::decode(payload, 0) else { continue };
        let mut again = Vec::new();
        transaction.encode(&mut again).expect("what was decoded can be encoded");
        assert_eq!(list::Transaction::decode(&again, 0).as_ref(), Ok(&transaction));
        let applied = list.apply(&transaction);
        assert_eq!(applied.outcomes.len(), transaction.records.len());
    }
    for entry in list.iter() {
        assert_eq!(list.by_name(&entry.name), Some(entry));
        assert_eq!(list.by_guid(entry.guid), Some(entry));
        assert_eq!(list.has_children(&entry.name), list.below(&entry.name).next().is_some());
    }
    list_again(&list);
}

fn list_again(list: &List) {
    let file = list.write(OWNER, 2, 99);
    let (owner, again, position) = List::parse(&file).expect("what was written parses");
    assert_eq!((owner, position.file, position.offset), (OWNER, 2, 99));
    assert_eq!(*list, again);
}

/// Input: a cache file, or (if the first byte is odd) a number and values to make one of.
pub fn index_cache(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 {
        explained(rest);
        if let Some(file) = CacheFile::parse(rest) {
            cache_rows(&file);
            let mut again = Vec::new();
            file.index().header().write(&mut again);
            assert_eq!(rest.get(..again.len()), Some(&again[..]));
        }
        let patterns = asked::read(rest, OWNER);
        if !patterns.is_empty() {
            assert_eq!(asked::read(&asked::write(&patterns, OWNER), OWNER), patterns);
        }
        if let Some(read) = SentFile::parse(rest, 1) {
            sent_again(&read);
        }
        return;
    }
    let mut pieces = Pieces(rest);
    let damage = pieces.number();
    let values: Vec<&[u8]> = pieces.collect();
    let header = cache::Header::covering(OWNER, MapId(5_000), 77);
    let mut file = Vec::new();
    header.write(&mut file);
    let fields = [Field::Envelope, Field::HeaderField(b"list-id"), Field::Other(40)];
    for (number, value) in values.iter().enumerate() {
        let number = number as u32 % header.span;
        let field = fields[number as usize % fields.len()];
        let fields = [(field, *value)];
        let row = Row {
            map_id: MapId(header.first.0 + number),
            guid: number.to_le_bytes(),
            fields: &fields,
        };
        cache::write_rows(&header, 1, &[row], &mut file).expect("a row of this size is allowed");
    }
    let parsed = CacheFile::parse(&file).expect("what was written parses");
    assert_eq!(parsed.index().len(), values.len());
    cache_rows(&parsed);
    for (number, value) in values.iter().enumerate() {
        let number = number as u32 % header.span;
        let field = fields[number as usize % fields.len()];
        if values.len() <= header.span as usize {
            let found = parsed.get(MapId(header.first.0 + number), number.to_le_bytes(), field);
            assert_eq!(found, Some(*value));
        }
    }
    sent_dates(&values);
    patterns(&values);
    let at = damage as usize % file.len();
    file[at] ^= 1 << (damage >> 61);
    if let Some(parsed) = CacheFile::parse(&file) {
        assert!(parsed.index().len() < values.len(), "a changed bit at {at} is not noticed");
        cache_rows(&parsed);
    }
}

/// Writes dates, two blocks of them, and reads them again.
fn sent_dates(values: &[&[u8]]) {
    let (group, span, first) = (cache::Group::SENT, cache::SENT_SPAN, MapId(0));
    let header = cache::Header { group, span, first, ..cache::Header::covering(OWNER, first, 7) };
    let row = |value: &&[u8]| {
        let (head, at) = value.split_first_chunk::<2>()?;
        let at = at.first_chunk().map(|at| i64::from_le_bytes(*at));
        let map_id = MapId(u16::from_le_bytes(*head).into());
        Some(Sent { map_id, guid: [*head, *head].concat().try_into().ok()?, at })
    };
    let rows: Vec<Sent> = values.iter().filter_map(row).collect();
    let mut file = Vec::new();
    header.write(&mut file);
    let (front, back) = rows.split_at(rows.len() / 2);
    for rows in [front, back] {
        write_sent(&header, 1, rows, &mut file).expect("all are covered");
    }
    let read = SentFile::parse(&file, 1).expect("what was written parses");
    assert_eq!((&read.rows, read.end), (&rows, file.len() as u64));
}

/// Writes what is asked, and reads it again.
fn patterns(values: &[&[u8]]) {
    let pattern = |value: &&[u8]| {
        let (head, names) = value.split_first_chunk::<4>()?;
        let count = u32::from_le_bytes(*head);
        let names = names.get(..cache::NAMES_MAX).unwrap_or(names).to_vec();
        Some(Pattern { mailbox: OWNER, group: cache::Group(count as u16), names, count })
    };
    let patterns: Vec<Pattern> = values.iter().filter_map(pattern).collect();
    assert_eq!(asked::read(&asked::write(&patterns, OWNER), OWNER), patterns);
}

/// Writes what was read, and reads that.
fn sent_again(read: &SentFile) {
    let mut file = Vec::new();
    read.header.write(&mut file);
    write_sent(&read.header, 1, &read.rows, &mut file).expect("all are covered");
    let again = SentFile::parse(&file, 1).expect("what was written parses");
    assert_eq!((&again.rows, &again.header), (&read.rows, &read.header));
}

fn cache_rows(file: &CacheFile<'_>) {
    for (map_id, guid, place) in file.index().iter() {
        assert!(file.index().header().slot(map_id).is_some());
        assert!(file.index().rows(map_id, guid).any(|other| other == place));
        assert!(Fields::new(file.bytes_of(place)).count() <= place.len as usize);
    }
}

/// Input: a segment, or (if the first byte is odd) a number and payloads of records.
pub fn index_journal(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 {
        explained(rest);
        let Ok(header) = journal::Header::parse(rest) else { return };
        let mut again = Vec::new();
        header.write(&mut again);
        assert_eq!(journal::Header::parse(&again), Ok(header.clone()));
        for frame in journal::Frames::new(rest, &header, None) {
            drop(Record::decode(frame.payload, frame.start));
        }
        return;
    }
    let mut pieces = Pieces(rest);
    let damage = pieces.number();
    let header = journal::Header {
        store: OWNER,
        segment: 1,
        previous: None,
        seed: 5,
        first_record: 10,
        epoch: 1,
        flags: 0,
    };
    let mut segment = Vec::new();
    header.write(&mut segment);
    let records: Vec<Record<'_>> =
        pieces.filter_map(|payload| Record::decode(payload, 0).ok()).collect();
    let mut ends = Vec::new();
    for (record, number) in records.iter().zip(10..) {
        record.write(&header, number, &mut segment).expect("what was decoded can be written");
        ends.push(segment.len());
    }
    let end = segment.len();
    segment.resize(end + 64, 0);
    assert_eq!(
        read_segment(&segment, &header, |record, number| assert_eq!(*record, records[number])),
        Ok(records.len())
    );
    let at = journal::Header::LEN + damage as usize % (end - journal::Header::LEN + 1);
    segment[at] ^= 1 << (damage >> 61);
    let kept = ends.iter().filter(|end| **end <= at).count();
    if at < end {
        assert_eq!(read_segment(&segment, &header, |_, _| {}), Ok(kept));
    }
}

fn read_segment(
    segment: &[u8],
    header: &journal::Header,
    mut each: impl FnMut(&Record<'_>, usize),
) -> Result<usize, Error> {
    let mut count = 0;
    for frame in journal::Frames::new(segment, header, None) {
        each(&Record::decode(frame.payload, frame.start)?, count);
        count += 1;
    }
    Ok(count)
}
