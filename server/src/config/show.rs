//! `loft config show`: a configuration as TOML, in the order of the documentation.

use super::settings::{Kind, Need, Place, SECTIONS, Section, Setting, Slot};
use super::value;
use super::{Config, OwnerName, Read, Source};
use std::fmt::Write as _;
use std::path::Path;

/// What a file sets, as TOML; with `defaults` also all that it leaves out.
#[must_use]
pub fn show(read: &Read, defaults: bool) -> String {
    let mut config = read.config.clone();
    let mut out = String::new();
    for section in SECTIONS {
        match section.name {
            "listen" => {
                for (n, listen) in read.config.listen.iter().enumerate() {
                    let mut listen = listen.clone();
                    let value = |setting: &Setting| match setting.slot {
                        Place::Listen(slot) => Some(text(&setting.kind, slot(&mut listen))),
                        Place::Nowhere | Place::Config(_) | Place::Tls(_) | Place::Source(_) => {
                            None
                        }
                    };
                    write_section(&mut out, section, &format!("listen.{n}"), read, defaults, value);
                }
            }
            "auth.source" => {
                for (n, path) in read.config.sources.iter().enumerate() {
                    let mut source = Source { path: path.clone(), ..Source::default() };
                    let value = |setting: &Setting| match setting.slot {
                        Place::Source(slot) => Some(text(&setting.kind, slot(&mut source))),
                        Place::Nowhere | Place::Config(_) | Place::Tls(_) | Place::Listen(_) => {
                            None
                        }
                    };
                    let path = format!("auth.source.{n}");
                    write_section(&mut out, section, &path, read, defaults, value);
                }
            }
            "tls" => {
                let Some(mut tls) = read.config.tls.clone() else { continue };
                let value = |setting: &Setting| match setting.slot {
                    Place::Tls(slot) => Some(text(&setting.kind, slot(&mut tls))),
                    Place::Nowhere | Place::Config(_) | Place::Source(_) | Place::Listen(_) => None,
                };
                write_section(&mut out, section, "tls", read, defaults, value);
            }
            name => {
                let value = |setting: &Setting| match setting.slot {
                    Place::Nowhere => Some("1".to_owned()),
                    Place::Config(slot) => Some(text(&setting.kind, slot(&mut config))),
                    Place::Tls(_) | Place::Source(_) | Place::Listen(_) => None,
                };
                write_section(&mut out, section, name, read, defaults, value);
            }
        }
    }
    out
}

/// The settings of a section that are set, or all.
fn write_section(
    out: &mut String,
    section: &Section,
    path: &str,
    read: &Read,
    defaults: bool,
    mut value: impl FnMut(&Setting) -> Option<String>,
) {
    let mut body = String::new();
    for setting in Setting::of(section.name) {
        let full = if path.is_empty() {
            setting.key.to_owned()
        } else {
            format!("{path}.{}", setting.key)
        };
        let set = read.set.contains(&full);
        // Some of a listener only go with others: what is not set and has no meaning there is left out.
        let only_if_set = matches!(setting.slot, Place::Listen(_))
            && matches!(setting.kind, Kind::Permissions | Kind::Networks | Kind::Owner);
        if (set || (defaults && !only_if_set))
            && let Some(value) = value(setting)
        {
            let mark = if set { "" } else { "  # default" };
            let _ = writeln!(body, "{} = {value}{mark}", setting.key);
        }
    }
    if body.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    match (section.name, section.many) {
        ("", _) => {}
        (name, true) => {
            let _ = writeln!(out, "[[{name}]]");
        }
        (name, false) => {
            let _ = writeln!(out, "[{name}]");
        }
    }
    out.push_str(&body);
}

/// The default of a setting, as TOML; what depends on the machine in words.
pub(super) fn default_of(setting: &Setting) -> Option<String> {
    if setting.need == Need::Required {
        return None;
    }
    match setting.slot {
        Place::Config(_) if matches!(setting.kind, Kind::Hostname) => {
            Some("the machine's name".to_owned())
        }
        Place::Config(slot) => Some(text(&setting.kind, slot(&mut Config::default()))),
        Place::Listen(slot) => Some(text(&setting.kind, slot(&mut super::Listen::default()))),
        Place::Nowhere | Place::Tls(_) | Place::Source(_) => None,
    }
}

/// A value as TOML.
fn text(kind: &Kind, slot: Slot<'_>) -> String {
    let number = |n: u64| {
        if matches!(kind, Kind::Size(..)) {
            format!("\"{}\"", value::show_size(n))
        } else if matches!(kind, Kind::Time(..)) {
            format!("\"{}\"", value::show_time(n))
        } else if matches!(kind, Kind::Permissions) {
            format!("0o{n:o}")
        } else {
            n.to_string()
        }
    };
    match slot {
        Slot::U32(n) => number(u64::from(*n)),
        Slot::U64(n) => number(*n),
        Slot::Usize(n) => number(*n as u64),
        Slot::Duration(time) => number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        Slot::Text(text) => quoted(text),
        Slot::Path(path) => quoted(&path_text(path)),
        Slot::Address(address) => quoted(&address.to_string()),
        Slot::Networks(networks) => {
            let networks: Vec<String> =
                networks.iter().map(|network| quoted(&network.to_string())).collect();
            format!("[{}]", networks.join(", "))
        }
        Slot::Owner(owner) => quoted(owner.as_ref().map_or("", OwnerName::as_str)),
        Slot::Choice(choice) => {
            let Kind::Choice(choices) = kind else { return String::new() };
            quoted(choices.get(choice.index()).map_or("", |choice| choice.name))
        }
    }
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
