//! A snapshot of a mailbox: header, sections, rows.

use super::record::flag_names;
use super::{Teller, text};
use crate::snapshot::{Header, Overlay, SectionId, Snapshot};
use std::fmt;

pub(super) fn explain(file: &[u8], out: &mut Teller<'_>) -> fmt::Result {
    let snapshot = match Snapshot::parse(file) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            return out.damage(
                0,
                file.len() as u64,
                format!(
                    "snapshot of a mailbox: {error}; the one before it and the log say the same"
                ),
            );
        }
    };
    explain_header("snapshot of mailbox", snapshot.header(), out)?;
    for id in snapshot.sections() {
        let Some((at, len)) = snapshot.place(id) else { continue };
        match snapshot.section(id) {
            Ok(_) => out.part(at, len, format!("section {}, {}: {len} bytes", id.0, name(id)))?,
            Err(error) => out.damage(
                at,
                len,
                format!(
                    "section {}, {}: {error}; the snapshot is of no use with it, the one before it and the log are",
                    id.0,
                    name(id)
                ),
            )?,
        }
    }
    rows(&snapshot, out)
}

/// What became of the mailbox since a snapshot of it.
pub(super) fn explain_overlay(file: &[u8], out: &mut Teller<'_>) -> fmt::Result {
    let overlay = match Overlay::parse(file) {
        Ok(overlay) => overlay,
        Err(error) => {
            let why = format!(
                "overlay over a snapshot: {error}; the log behind the snapshot says the same"
            );
            return out.damage(0, file.len() as u64, why);
        }
    };
    explain_header("overlay over a snapshot of mailbox", overlay.header(), out)?;
    let base = overlay.base();
    out.file(format!(
        "  the snapshot stands at byte {} of log file {}, behind {} transactions",
        base.offset, base.file, base.transactions
    ))?;
    let (gone, changed, came) = overlay.sums();
    out.file(format!("  of its rows {} went: UIDs {gone}", gone.len()))?;
    out.file(format!("  and {changed} changed; {came} came"))
}

fn explain_header(what: &str, header: &Header, out: &mut Teller<'_>) -> fmt::Result {
    let position = header.position;
    out.file(format!("{what} {}, server {}, epoch {}", header.owner, header.server, header.epoch))?;
    out.file(format!("  at byte {} of log file {}", position.offset, position.file))?;
    out.file(format!("  {} transactions up to there", position.transactions))?;
    out.file(format!("  UIDVALIDITY {}, UIDNEXT {}", header.uidvalidity, header.uidnext))?;
    let sums = header.counters;
    out.file(format!("  HIGHESTMODSEQ {}", header.modseq.0))?;
    out.file(format!(
        "  {} messages, {} unseen, {} deleted, {} bytes",
        sums.messages, sums.unseen, sums.deleted, sums.size
    ))?;
    Ok(())
}

fn rows(snapshot: &Snapshot<'_>, out: &mut Teller<'_>) -> fmt::Result {
    let mailbox = match snapshot.to_mailbox() {
        Ok(mailbox) => mailbox,
        // That is said at the section.
        Err(crate::Error::Checksum { .. }) => return Ok(()),
        Err(error) => {
            return out.damage(0, 0, format!("its parts do not fit each other: {error}"));
        }
    };
    for (number, name) in mailbox.keywords().iter().enumerate() {
        out.file(format!("keyword {number} is {name:?}"))?;
    }
    for row in mailbox.iter() {
        let (flags, keywords) = (flag_names(row.flags), row.keywords.0);
        let (received, saved) = (row.internal_date, row.save_date);
        out.file(format!(
            "UID {}: {flags}, keywords {keywords:#x}, modseq {}, received {received}, saved {saved}, {} bytes, map id {}",
            row.uid, row.modseq.0, row.size, row.map_id.0
        ))?;
    }
    for gone in mailbox.tombstones() {
        let (uid, modseq, map_id) = (gone.uid, gone.modseq.0, gone.map_id.0);
        out.file(format!("UID {uid} was expunged at modseq {modseq}, map id {map_id}"))?;
    }
    for void in mailbox.voids() {
        out.file(format!("UIDs {} to {} went at modseq {}", void.first, void.last, void.modseq.0))?;
    }
    for (key, value) in mailbox.all_metadata() {
        out.file(format!("metadata {} is {}", text(key), text(value)))?;
    }
    Ok(())
}

/// What a section holds.
fn name(id: SectionId) -> &'static str {
    match id {
        SectionId::UIDS => "UIDs",
        SectionId::FLAGS => "system flags",
        SectionId::KEYWORDS => "keywords",
        SectionId::MODSEQS => "modseqs",
        SectionId::INTERNAL_DATES => "internal dates",
        SectionId::SAVE_DATES => "save dates",
        SectionId::SAVE_DELAYS => "save dates less internal dates",
        SectionId::SIZES => "sizes",
        SectionId::MAP_IDS => "map ids",
        SectionId::NAMES => "names of keywords",
        SectionId::TOMBSTONES => "tombstones",
        SectionId::VOIDS => "voids",
        SectionId::METADATA => "metadata",
        SectionId::PRIVATE => "private flags",
        SectionId::GUIDS => "GUIDs",
        SectionId::ITEMS => "items",
        SectionId::THREADS => "threads",
        SectionId::KEPT => "flags of expunged messages",
        _ => "of a later version",
    }
}
