//! Says in words what is in a file of a store: `cargo run -p loft-index-format --example dump FILE`.
//!
//! Knows the files that begin like one of [`KINDS`]. Reads only, and goes on behind damage, saying that nothing there
//! counts.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use index_format::explain::{KINDS, Kind, explain};

const HELP: &str = "\
Says in words what is in a file of a store.

usage: dump FILE

Example:
  cargo run -p loft-index-format --example dump users/4c/u1/list.log

A number at the start of a line is the byte in the file that it is about.";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let path = match (args.next(), args.next()) {
        (Some(help), None) if help == "--help" || help == "-h" => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        (Some(path), None) => path,
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    let file = match std::fs::read(&path) {
        Ok(file) => file,
        Err(error) => {
            eprintln!("dump: cannot read {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    };
    if Kind::of(&file).is_none() {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let known = names.join(", ");
        eprintln!("dump: {} begins like none of these: {known}", path.display());
        return ExitCode::FAILURE;
    }
    let mut out = Out { to: io::BufWriter::new(io::stdout().lock()), error: None };
    if explain(&file, &mut out).is_ok() {
        out.error = out.to.flush().err();
    }
    match out.error {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("dump: cannot write: {error}");
            ExitCode::FAILURE
        }
        Some(_) | None => ExitCode::SUCCESS,
    }
}

/// Text for whatever takes bytes, and why it did not.
struct Out<W> {
    to: W,
    error: Option<io::Error>,
}

impl<W: Write> fmt::Write for Out<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.to.write_all(text.as_bytes()).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}
