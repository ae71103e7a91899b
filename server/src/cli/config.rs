//! `loft config`.

use crate::config::{self, Level};
use crate::serve;
use clap::Subcommand;
use std::io::{self, Write as _};
use std::path::PathBuf;

pub(super) const EXAMPLE: &str = "\
Example:
  loft config check /etc/loft/loft.toml
  loft config show --defaults /etc/loft/loft.toml
  loft config docs | less";

/// What `loft config` can do.
#[derive(Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// Say all that is wrong with a file, and what is not safe; the certificate and the users' files are read too.
    #[command(
        after_help = "Ends with 0 when a server would start with it, warnings or not, else with 1."
    )]
    Check {
        /// The configuration file.
        #[arg(value_name = "FILE", default_value = super::CONFIG)]
        file: PathBuf,
    },
    /// Show what a file sets, as it was understood.
    Show {
        /// Show what it leaves out too.
        #[arg(long)]
        defaults: bool,
        /// The configuration file.
        #[arg(value_name = "FILE", default_value = super::CONFIG)]
        file: PathBuf,
    },
    /// Explain all settings: what they may be, their defaults, what they mean. In Markdown.
    Docs,
}

/// Why it ends with 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is wrong with the file, or one that it names.
    #[error(transparent)]
    Wrong(#[from] serve::Error),
    /// Standard output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        match self {
            Self::Check { file } => {
                let read = serve::read(&file).inspect_err(super::details)?;
                eprint!("{}", read.warnings);
                let mut wrong = serve::check_files(&read.config);
                wrong.iter().for_each(super::details);
                if let Some(last) = wrong.pop() {
                    for error in wrong {
                        eprintln!("loft: {error}");
                    }
                    return Err(last.into());
                }
                let name = file.display();
                match read.warnings.count(Level::Warning) {
                    0 => writeln!(out, "{name}: ok")?,
                    1 => writeln!(out, "{name}: ok, with 1 warning")?,
                    n => writeln!(out, "{name}: ok, with {n} warnings")?,
                }
            }
            Self::Show { defaults, file } => {
                let read = serve::read(&file).inspect_err(super::details)?;
                out.write_all(config::show(&read, defaults).as_bytes())?;
            }
            Self::Docs => out.write_all(config::page().as_bytes())?,
        }
        out.flush()?;
        Ok(())
    }
}
