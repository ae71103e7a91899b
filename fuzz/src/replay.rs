//! Replays stored inputs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What [`replay_folder`] did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Replayed {
    /// How many files.
    pub files: usize,
    /// How many bytes they have.
    pub bytes: usize,
}

/// Gives each file of a folder to a target's body, by name; a folder that does not exist has none.
///
/// # Errors
/// What reading the folder or a file says, except that there is no such folder.
pub fn replay_folder(folder: &Path, run: fn(&[u8])) -> io::Result<Replayed> {
    let mut files: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    files.sort();
    let mut replayed = Replayed::default();
    for file in files {
        let bytes = fs::read(&file)?;
        let name = Named(&file);
        run(&bytes);
        drop(name);
        replayed.files += 1;
        replayed.bytes += bytes.len();
    }
    Ok(replayed)
}

/// Says which file was being replayed when a body panicked.
struct Named<'a>(&'a Path);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("while replaying {}", self.0.display());
        }
    }
}

/// The program of a target without libFuzzer: replays the files and folders given as arguments.
pub fn replay_arguments(run: fn(&[u8])) -> ExitCode {
    let mut replayed = Replayed::default();
    for argument in std::env::args_os().skip(1).map(PathBuf::from) {
        let result = if argument.is_dir() {
            replay_folder(&argument, run)
        } else {
            fs::read(&argument).map(|bytes| {
                run(&bytes);
                Replayed { files: 1, bytes: bytes.len() }
            })
        };
        match result {
            Ok(more) => {
                replayed.files += more.files;
                replayed.bytes += more.bytes;
            }
            Err(error) => {
                eprintln!("{}: {error}", argument.display());
                return ExitCode::FAILURE;
            }
        }
    }
    println!("replayed {} files, {} bytes", replayed.files, replayed.bytes);
    ExitCode::SUCCESS
}
