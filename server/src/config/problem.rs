//! What is wrong with a configuration, and where.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Nothing starts with it.
    Error,
    /// It works, and is not safe or does nothing.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// How bad.
    pub level: Level,
    /// The byte of the file where it begins.
    pub at: usize,
    /// What, and what is allowed.
    pub text: String,
}

/// All that is wrong with a file; shown as `FILE:LINE:COLUMN: error: …`, one a line, in the order of the file.
#[derive(Clone, Debug)]
pub struct Report {
    name: String,
    text: String,
    problems: Vec<Problem>,
}

impl Report {
    pub(super) fn new(name: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.at);
        Self { name: name.to_owned(), text: text.to_owned(), problems }
    }

    /// How many there are of this level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.problems.iter().filter(|problem| problem.level == level).count()
    }

    /// What is wrong, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Problem { level, at, text } in &self.problems {
            let (line, column) = place(&self.text, *at);
            let level = match level {
                Level::Error => "error",
                Level::Warning => "warning",
            };
            writeln!(f, "{}:{line}:{column}: {level}: {text}", self.name)?;
        }
        Ok(())
    }
}

/// Line and column of a byte, both from 1, columns in characters.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before.get(start..).map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}
