//! Compares what Loft and another IMAP server say about the same messages.
//!
//! Appends every message to both, then compares ENVELOPE, BODY, BODYSTRUCTURE, sizes, the sections of every part,
//! partials, header fields, BINARY where both offer it, and what SEARCH finds. What is argued in
//! `docs/formats/mime.md` is counted apart from what is not.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, unreachable_pub)] // a tool of tests

mod binary;
mod client;
mod compare;
mod explain;
mod found;
mod items;
mod known;
mod report;
mod search;
mod value;

use clap::Parser;
use client::Client;
use loft_fuzz::MalformedMail;
use report::Report;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLE: &str = "\
Example:
  loft demo --data /tmp/mail --imap 127.0.0.1:1143 &
  dovecot -F -c dovecot.conf &        # listens at 127.0.0.1:2143, has the account u1 too
  cargo run -p loft-fuzz --example differential -- --loft 127.0.0.1:1143 --other 127.0.0.1:2143 \\
      --folder messages --generate 2000 --seed 1

Exit status: 0 when all differences are known ones, 1 when some aren't, 2 when it could not compare.";

/// Compares what Loft and another IMAP server say about the same messages.
#[derive(Debug, Parser)]
#[command(name = "differential", after_help = EXAMPLE)]
struct Options {
    /// Where Loft's IMAP is.
    #[arg(long, value_name = "ADDR")]
    loft: SocketAddr,

    /// Where the other server's IMAP is.
    #[arg(long, value_name = "ADDR")]
    other: SocketAddr,

    /// The account, the same on both.
    #[arg(long, default_value = "u1")]
    user: String,

    /// Its password.
    #[arg(long, default_value = "pw")]
    password: String,

    /// A folder of messages, one a file; each is sent as it is and, where it has bare line feeds, with CRLF.
    #[arg(long, value_name = "DIR")]
    folder: Vec<PathBuf>,

    /// How many malformed messages to make and compare.
    #[arg(long, value_name = "N", default_value_t = 0)]
    generate: usize,

    /// What they are made from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Messages in a mailbox at a time; SEARCH looks through all of them.
    #[arg(long, value_name = "N", default_value_t = 50)]
    batch: usize,

    /// Leave SEARCH out.
    #[arg(long)]
    no_search: bool,

    /// Write the messages whose differences are printed there, one a file.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Print known differences too.
    #[arg(long)]
    known: bool,

    /// Print a JSON object for each difference and one for the summary.
    #[arg(long)]
    json: bool,
}

/// A message to compare.
pub struct Message {
    /// What it is called in the report.
    pub name: String,
    /// What is appended.
    pub bytes: Vec<u8>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("differential: {error}");
            ExitCode::from(2)
        }
    }
}

/// Compares everything and gives the number of unknown differences.
fn run(options: &Options) -> io::Result<usize> {
    let loft = Client::login(options.loft, &options.user, &options.password)?;
    let other = Client::login(options.other, &options.user, &options.password)?;
    let mut report = Report::new(options.known, options.json, options.keep.clone());
    let messages = messages(options, loft.can("BINARY") && other.can("BINARY"))?;
    let mut pair = compare::Pair { loft, other };
    for batch in messages.chunks(options.batch.max(1)) {
        pair.compare(batch, !options.no_search, &mut report)?;
    }
    Ok(report.finish())
}

fn messages(options: &Options, nul: bool) -> io::Result<Vec<Message>> {
    let mut messages = Vec::new();
    for folder in &options.folder {
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.retain(|file| file.is_file());
        files.sort();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = std::fs::read(&file)?;
            let crlf = compare::with_crlf(&bytes);
            if crlf != bytes {
                messages.push(Message { name: format!("{name}+crlf"), bytes: crlf });
            }
            messages.push(Message { name, bytes });
        }
    }
    for number in 0..options.generate as u64 {
        let seed = options.seed.wrapping_add(number);
        let bytes = one_cr(&MalformedMail::new(seed, nul).message());
        messages.push(Message { name: format!("seed {seed}"), bytes });
    }
    messages.retain(|message| nul || !message.bytes.contains(&0));
    Ok(messages)
}

/// Each line end with one CR at most, and none without LF at the end: Dovecot 2.3 stores no others, so nothing could be
/// compared.
fn one_cr(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if byte == b'\n' {
            while out.ends_with(b"\r\r") {
                out.pop();
            }
        }
        out.push(byte);
    }
    while out.ends_with(b"\r") {
        out.pop();
    }
    out
}
