//! Thread files: read whole, appended to, made anew. No call here syncs.

use super::WouldBlock;
use crate::store::account::Home;
use crate::store::files::Files;
use crate::store::mailbox::directory;
use imap_proto::UidSet;
use index_format::threads::{
    BLOCK_MAX, Blocks, Fingerprint, Forest, Header, Message, Overgrown, write_block,
};
use index_format::{Guid, Uid};
use runtime_smol::fs::{File, Open};
use std::io::{self, IoSlice};
use std::path::PathBuf;

/// The longest file that is read: some five times what a million messages take.
const FILE_MAX: usize = 512 << 20;
/// A file up to this many bytes is read on an executor's thread, when memory has it: less than a millisecond.
const INLINE: usize = 256 << 10;
/// Messages in a block, but for the last.
const BLOCK: usize = 1 << 14;
/// A file with more blocks than this, and one more for so many messages, is made anew.
const BLOCKS: usize = 256;
const BLOCKS_EACH: usize = 32;

/// The path of a mailbox's threads.
pub(super) fn path(home: &Home, mailbox: Guid) -> PathBuf {
    directory(&home.dir, mailbox).join("threads")
}

/// The forest of what counts of a file, and whether that is to be made anew.
pub(super) fn read(
    files: &Files,
    home: &Home,
    mailbox: Guid,
    uidnext: u32,
    wait: bool,
) -> Result<(Result<Forest, Overgrown>, bool), WouldBlock> {
    let path = path(home, mailbox);
    let damaged = |why: &dyn std::fmt::Display| {
        tracing::error!(file = %path.display(), %why, "the threads of a mailbox are damaged from there on; what is lacking is read from the messages, and the file made anew");
    };
    let bytes = match files.read_whole(&path, (INLINE, FILE_MAX), wait) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Ok(Forest::default()), false));
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && !wait => return Err(WouldBlock),
        Err(error) => {
            damaged(&error);
            return Ok((Ok(Forest::default()), true));
        }
    };
    match Header::parse(&bytes) {
        Ok(found) if found == header(home, mailbox) => {}
        Ok(_) => {
            damaged(&"it is another mailbox's");
            return Ok((Ok(Forest::default()), true));
        }
        Err(error) => {
            damaged(&error);
            return Ok((Ok(Forest::default()), true));
        }
    }
    let (mut forest, mut blocks) = (Forest::default(), Blocks::new(&bytes));
    let (mut count, mut last, mut overgrown) = (0, Uid(0), None);
    let mut renew = false;
    let mut each = |message: &Message<'_>| {
        last = last.max(message.uid);
        if let Err(error) = forest.insert(message) {
            overgrown = Some(error);
        }
    };
    while let Some(block) = blocks.next(&mut each) {
        count += 1;
        if let Err(error) = block {
            damaged(&error);
            renew = true;
        }
    }
    if last.0 >= uidnext {
        damaged(&format_args!(
            "it knows of UID {last}, while the mailbox has given none above {}",
            uidnext.saturating_sub(1),
            last = last.0
        ));
        return Ok((Ok(Forest::default()), true));
    }
    renew |= count > BLOCKS + forest.len() / BLOCKS_EACH;
    Ok((overgrown.map_or(Ok(forest), Err), renew))
}

fn header(home: &Home, mailbox: Guid) -> Header {
    Header { owner: home.owner, mailbox }
}

/// Appends these messages by one write. Where there is no file, or none that can be appended to, one with these messages
/// alone takes its place: what it lacks is learnt when somebody asks.
pub(super) fn append<'a>(
    files: &Files,
    home: &Home,
    mailbox: Guid,
    messages: impl Iterator<Item = Message<'a>>,
) -> io::Result<()> {
    let mut out = Vec::new();
    write(messages, &mut out)?;
    if out.is_empty() {
        return Ok(());
    }
    let found = match files.fs().open(&path(home, mailbox), Open::Append) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(file) = found {
        let mut head = [0; Header::LEN];
        let read = file.read_at(&mut head, 0)?;
        if Header::parse(head.get(..read).unwrap_or_default()) == Ok(header(home, mailbox)) {
            return append_all(&*file, &out);
        }
    }
    replace(files, home, mailbox, &out)
}

/// Makes the file anew, of a forest's messages but for some.
pub(super) fn renew(
    files: &Files,
    home: &Home,
    mailbox: Guid,
    forest: &Forest,
    except: &UidSet,
) -> io::Result<()> {
    let mut out = Vec::new();
    let uids: Vec<Uid> = forest.uids().iter().collect();
    let mut lists: Vec<Vec<Fingerprint>> = Vec::new();
    for uids in uids.chunks(BLOCK) {
        let uids = uids.iter().filter(|uid| !except.contains(imap_proto::Uid(uid.0)));
        lists.resize_with(lists.len().max(uids.clone().count()), Vec::new);
        let messages = uids.zip(&mut lists).filter_map(|(uid, list)| forest.message(*uid, list));
        write(messages, &mut out)?;
    }
    replace(files, home, mailbox, &out)
}

fn write<'a>(messages: impl Iterator<Item = Message<'a>>, out: &mut Vec<u8>) -> io::Result<()> {
    let messages: Vec<Message<'a>> = messages.collect();
    let mut rest = messages.as_slice();
    while !rest.is_empty() {
        // Fewer where they have many references.
        let mut bytes = 0;
        let fits = |message: &&Message<'_>| {
            bytes += 64 + 20 * message.references.len();
            bytes < BLOCK_MAX
        };
        let count = rest.iter().take(BLOCK).take_while(fits).count().max(1);
        let (block, later) = rest.split_at(count);
        write_block(block.iter().copied(), out).map_err(io::Error::other)?;
        rest = later;
    }
    Ok(())
}

/// Puts a file with these blocks in the place of the one that is there.
fn replace(files: &Files, home: &Home, mailbox: Guid, blocks: &[u8]) -> io::Result<()> {
    let (fs, path) = (files.fs(), path(home, mailbox));
    let mut out = Vec::with_capacity(Header::LEN + blocks.len());
    header(home, mailbox).write(&mut out);
    out.extend_from_slice(blocks);
    let temporary = path.with_extension("tmp");
    match fs.unlink(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = match fs.open(&temporary, Open::Create) {
        Ok(file) => file,
        // The mailbox was deleted meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    append_all(&*file, &out).and_then(|()| fs.rename(&temporary, &path)).inspect_err(|_| {
        // What stays goes when the file is made anew the next time.
        let _ = fs.unlink(&temporary);
    })
}

fn append_all(file: &dyn File, bytes: &[u8]) -> io::Result<()> {
    match file.append(&[IoSlice::new(bytes)])? == bytes.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}
