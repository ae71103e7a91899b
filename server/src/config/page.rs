//! `loft config docs`: all settings, for people.

use super::read::allowed;
use super::settings::{Kind, Need, SECTIONS, Section, Setting};
use super::show::default_of;
use std::fmt::Write as _;

const HEAD: &str = "\
# Configuration

`loft serve --config FILE` reads one file, in [TOML](https://toml.io). This one is enough:

```toml
version = 1
data_dir = \"/var/mail/loft\"
hostname = \"mail.example.org\"

[[listen]]
service = \"imaps\"
address = \"[::]:993\"

[[listen]]
service = \"imap\"
address = \"[::]:143\"

[[listen]]
service = \"lmtp\"
address = \"unix:/run/loft/lmtp\"

[tls]
certificate = \"/etc/loft/cert.pem\"
key = \"/etc/loft/key.pem\"

[[auth.source]]
driver = \"passwd-file\"
path = \"/etc/loft/users\"
```

- `loft config check FILE` says all that is wrong with it, as `FILE:LINE:COLUMN`, and what is not safe.
- `loft config show FILE` shows what it sets, `loft config show --defaults FILE` all the rest too.
- SIGHUP has a running server read it again. New connections then go by it; a file that is wrong leaves the old one in
  force, and the log says so. `data_dir`, `hostname`, `[[listen]]`, `[limits]` itself, `[limits.login]`, the bounds of
  connections, `[limits.store]`, `[durability]`, `[storage]` and `[log]` need a new start, and the log says that too.

Sizes are written with their unit (`\"64 KiB\"`) or as a number of bytes, times with their unit (`\"30 s\"`). A relative path
starts at the directory of the file.

## Accounts

`loft user add`, `passwd`, `list`, `info` and `remove` keep the passwd-file; `loft user --help` has examples. It can as well
be written by hand or by another program: one account a line, in the order of fields that Dovecot's have:

    user:{SCHEME}hash:uid:gid:gecos:home:shell:extra

The first two count. `{ARGON2ID}`, `{BLF-CRYPT}`, `{SHA512-CRYPT}`, `{SHA256-CRYPT}` and `{PLAIN}` are known, and
`crypt(3)` strings without a scheme (`$6$…`). An empty password, `*`, one that begins with `!`, and the extra field
`nologin` mean: takes mail, but nobody logs in. The extra field `allow_nets=192.0.2.0/24,2001:db8::1,local` names the only
addresses that may log in as this user (`local` is a UNIX socket); from elsewhere no password is right. Lines that begin with `#` are comments. A line that is wrong leaves the
whole file as it was.

Capital letters are the same as small ones. A user `alice` is also `alice@any.domain`, unless that has a line of its own;
`alice+folder` is `alice`. A running server sees a change of the file at the next log-in or delivery.

This page is made from the code. After a change: `LOFT_WRITE_DOCS=1 cargo test -p loft --lib config`.
";

/// The page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Settings\n");
    for section in SECTIONS {
        write_section(&mut page, section);
    }
    page
}

fn write_section(page: &mut String, section: &Section) {
    let title = match (section.name, section.many) {
        ("", _) => "Top".to_owned(),
        (name, true) => format!("`[[{name}]]`"),
        (name, false) => format!("`[{name}]`"),
    };
    let _ = writeln!(page, "\n### {title}\n\n{}\n", section.doc);
    page.push_str("| setting | is | default | means |\n| --- | --- | --- | --- |\n");
    for setting in Setting::of(section.name) {
        let default = match setting.need {
            Need::Required => "none: has to be there".to_owned(),
            Need::Optional => {
                default_of(setting).map_or_else(String::new, |text| format!("`{text}`"))
            }
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {} |",
            setting.key,
            unit(&setting.kind),
            setting.doc
        );
    }
    for setting in Setting::of(section.name) {
        let Kind::Choice(choices) = &setting.kind else { continue };
        let _ = writeln!(page, "\n`{}`:\n", setting.key);
        for choice in *choices {
            let _ = writeln!(page, "- `\"{}\"`: {}", choice.name, choice.means);
        }
    }
}

/// What a value is, with its unit and bounds.
fn unit(kind: &Kind) -> String {
    match kind {
        Kind::Version => "1".to_owned(),
        Kind::Hostname => "name".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Address => "`HOST:PORT`, `unix:PATH` or `systemd:NAME`".to_owned(),
        Kind::Owner => "`USER`, `USER:GROUP` or `:GROUP`".to_owned(),
        Kind::Permissions => "octal".to_owned(),
        Kind::Networks => "list of networks".to_owned(),
        Kind::Choice(_) => "one of those below".to_owned(),
        Kind::Count(min, max) => format!("number, {min} to {max}"),
        Kind::Size(..) | Kind::Time(..) => {
            let text = allowed(kind);
            let text = text.strip_prefix("write a ").unwrap_or(&text);
            text.split(", in ").next().unwrap_or(text).replace('"', "`")
        }
    }
}
