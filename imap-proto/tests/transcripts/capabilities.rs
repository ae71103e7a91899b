//! `docs/guide/capabilities.md` says what is offered, when, and which transcripts show it. It is made here.

use std::fmt::Write as _;
use std::path::Path;

use imap_proto::capabilities::CAPABILITIES;

const PAGE: &str = "../docs/guide/capabilities.md";

/// How the names of an RFC's transcripts begin: `rfc3516_` for RFC 3516.
fn prefix(rfc: &str) -> String {
    let name: String =
        rfc.chars().filter(|c| *c != ' ').map(|c| if c == '-' { '_' } else { c }).collect();
    name.to_ascii_lowercase() + "_"
}

/// The names of all tests in this crate's folder of tests, sorted.
fn tests(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the tests are there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            names.extend(tests(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).expect("UTF-8");
            // One that a macro makes has no attribute.
            let found = source.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
            names.extend(found.filter_map(|rest| rest.split('(').next()).map(str::to_owned));
        }
    }
    names.sort_unstable();
    names
}

fn page() -> String {
    let tests = tests(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let mut page = "# What the IMAP server can do\n\n\
        Each capability that CAPABILITY may name, where it is defined, when it is offered, and the tests that show it\n\
        (in `imap-proto/tests`; most are transcripts, named after the RFC's section).\n\n\
        This page is made from the code. After a change: `LOFT_WRITE_DOCS=1 cargo test -p loft-imap-proto --test \
        transcripts capabilities`.\n\n\
        | capability | defined in | offered |\n| --- | --- | --- |\n"
        .to_owned();
    for capability in CAPABILITIES {
        let _ =
            writeln!(page, "| `{}` | {} | {} |", capability.name, capability.rfc, capability.when);
    }
    page.push_str("\n## Tests\n");
    let mut rfcs: Vec<&str> = CAPABILITIES.iter().map(|capability| capability.rfc).collect();
    rfcs.sort_unstable();
    rfcs.dedup();
    for rfc in rfcs {
        let names: Vec<&str> =
            CAPABILITIES.iter().filter(|known| known.rfc == rfc).map(|known| known.name).collect();
        let _ = write!(page, "\n{rfc} ({}):\n\n", names.join(", "));
        let prefix = prefix(rfc);
        let shown: Vec<&String> = tests.iter().filter(|test| test.starts_with(&prefix)).collect();
        assert!(!shown.is_empty(), "no test shows {rfc}: its name would begin with {prefix}");
        for test in shown {
            let _ = writeln!(page, "- `{test}`");
        }
    }
    page
}

#[test]
fn capabilities_are_documented_as_they_are() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("LOFT_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/guide/capabilities.md is not what the code says; write it anew with LOFT_WRITE_DOCS=1"
    );
}
