//! Explains a container, a `map.index` or a dictionary in words: `cargo run -p loft-dbox-format --example dump FILE`.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!(
            "usage: dump FILE   (a container, such as c.0000001f, map.index, or a dictionary)"
        );
        return ExitCode::FAILURE;
    };
    match std::fs::read(&path) {
        Ok(file) => {
            let mut words = String::new();
            dbox_format::explain(&file, &mut words).expect("a string takes all that is written");
            // A closed pipe is the reader's way to say that it has seen enough.
            match std::io::stdout().write_all(words.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
