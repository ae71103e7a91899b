//! TOML to [`Config`], with all that is wrong at once.

use super::settings::{Kind, Need, Place, SECTIONS, Section, Setting, Slot};
use super::value;
use super::{Config, Level, Listen, Network, OwnerName, Problem, Report, Source, TlsFiles, check};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// Similarity from which a known key is taken for the one that was meant.
const ALIKE: f64 = 0.8;

/// A file that can be used.
#[derive(Clone, Debug)]
pub struct Read {
    /// What it says.
    pub config: Config,
    /// What is not safe.
    pub warnings: Report,
    /// The settings that stand in it, as `section.key`.
    pub set: Vec<String>,
}

/// Reads a file, called `name` in messages; relative paths in it start at the directory `base`.
///
/// # Errors
/// All that is wrong, warnings included.
pub fn read(name: &str, text: &str, base: &Path) -> Result<Read, Report> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: &toml::de::Error| Problem {
            level: Level::Error,
            at: error.span().map_or(0, |span| span.start),
            text: format!("this is not TOML: {}", error.message().replace('\n', ", ")),
        };
        return Err(Report::new(name, text, errors.iter().map(problem).collect()));
    }
    let mut reader = Reader {
        base,
        text,
        config: Config::default(),
        found: Found::default(),
        problems: Vec::new(),
    };
    reader.section("", table.get_ref(), 0..0, &mut Target::Config);
    check::whole(&reader.config, &reader.found, &mut reader.problems);
    let Reader { config, found, problems, .. } = reader;
    let report = Report::new(name, text, problems);
    match report.count(Level::Error) {
        0 => Ok(Read { config, warnings: report, set: found.places.into_keys().collect() }),
        _ => Err(report),
    }
}

/// Where the settings stand that are there, by `section.key`; those of an array by `section.N.key`.
#[derive(Debug, Default)]
pub(super) struct Found {
    places: BTreeMap<String, usize>,
    /// Those whose value was wrong: nothing more is to be said of them.
    wrong: BTreeSet<String>,
}

impl Found {
    /// Where it stands: the setting, or else its section, or else the beginning.
    pub(super) fn at(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(at) = self.places.get(path) {
                return *at;
            }
            let Some((parent, _)) = path.rsplit_once('.') else { return 0 };
            path = parent;
        }
    }

    /// Whether it stands there with a value that was understood.
    pub(super) fn is_good(&self, path: &str) -> bool {
        self.has(path) && !self.wrong.contains(path)
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }
}

struct Reader<'a> {
    base: &'a Path,
    text: &'a str,
    config: Config,
    found: Found,
    problems: Vec<Problem>,
}

/// What the settings of a section go into.
enum Target {
    Config,
    Listen(Listen),
    Tls(TlsFiles),
    Source(Source),
}

impl Reader<'_> {
    fn error(&mut self, at: usize, text: String) {
        self.problems.push(Problem { level: Level::Error, at, text });
    }

    /// Reads the table of a section. `path` is its name with its place in an array.
    fn section(
        &mut self,
        path: &str,
        table: &DeTable<'_>,
        span: Range<usize>,
        target: &mut Target,
    ) {
        let name: String = path
            .split('.')
            .filter(|part| part.parse::<usize>().is_err())
            .collect::<Vec<_>>()
            .join(".");
        for (key, value) in table {
            let at = key.span().start;
            let key = key.get_ref().as_ref();
            let path = join(path, key);
            if let Some(setting) = Setting::find(&name, key) {
                self.found.places.insert(path.clone(), at);
                if !self.setting(setting, value, target) {
                    self.found.wrong.insert(path);
                }
            } else if let Some(section) = SECTIONS
                .iter()
                .find(|section| !section.name.is_empty() && section.name == join(&name, key))
            {
                self.subsection(section, &path, at, value);
            } else {
                let text = unknown(&name, key);
                self.error(at, text);
            }
        }
        for setting in Setting::of(&name).filter(|setting| setting.need == Need::Required) {
            if !table.contains_key(setting.key) {
                let place = shown(&name);
                let text =
                    format!("{:?} is missing {place}: {}", setting.key, allowed(&setting.kind));
                self.error(span.start, text);
            }
        }
    }

    fn subsection(
        &mut self,
        section: &Section,
        path: &str,
        at: usize,
        value: &Spanned<DeValue<'_>>,
    ) {
        self.found.places.entry(path.to_owned()).or_insert(at);
        match (section.many, value.get_ref()) {
            (true, DeValue::Array(tables)) => {
                for (n, element) in tables.iter().enumerate() {
                    let Some(table) = element.get_ref().as_table() else {
                        self.error(element.span().start, format!("write [[{}]]", section.name));
                        continue;
                    };
                    let path = format!("{path}.{n}");
                    self.found.places.insert(path.clone(), element.span().start);
                    self.table(section, &path, table, element.span());
                }
            }
            (false, DeValue::Table(table)) => {
                self.found.places.insert(path.to_owned(), value.span().start);
                self.table(section, path, table, value.span());
            }
            (true, _) => {
                let name = section.name;
                self.error(at, format!("[[{name}]] has two brackets: there may be several"));
            }
            (false, _) => {
                let name = section.name;
                self.error(at, format!("[{name}] is a section of its own, with one bracket"));
            }
        }
    }

    fn table(&mut self, section: &Section, path: &str, table: &DeTable<'_>, span: Range<usize>) {
        let mut target = match section.name {
            "listen" => Target::Listen(Listen::default()),
            "tls" => Target::Tls(TlsFiles::default()),
            "auth.source" => Target::Source(Source::default()),
            _ => Target::Config,
        };
        self.section(path, table, span.clone(), &mut target);
        match target {
            Target::Listen(listen) => {
                let (line, _) = super::problem::place(self.text, span.start);
                self.config.listen.push(Listen { line, ..listen });
            }
            Target::Tls(files) => self.config.tls = Some(files),
            Target::Source(source) => self.config.sources.push(source.path),
            Target::Config => {}
        }
    }

    /// Whether the value can be used.
    fn setting(
        &mut self,
        setting: &Setting,
        value: &Spanned<DeValue<'_>>,
        target: &mut Target,
    ) -> bool {
        let slot = match (&setting.slot, target) {
            (Place::Nowhere, _) => None,
            (Place::Config(slot), _) => Some(slot(&mut self.config)),
            (Place::Listen(slot), Target::Listen(listen)) => Some(slot(listen)),
            (Place::Tls(slot), Target::Tls(files)) => Some(slot(files)),
            (Place::Source(slot), Target::Source(source)) => Some(slot(source)),
            (Place::Listen(_) | Place::Tls(_) | Place::Source(_), _) => None,
        };
        if let Err(why) = set(&setting.kind, value.get_ref(), slot, self.base) {
            let text = format!("{} = {}: {why}", setting.key, brief(self.text, value.span()));
            self.error(value.span().start, text);
            return false;
        }
        true
    }
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// The value as it stands there, if it is short.
fn brief(text: &str, span: Range<usize>) -> String {
    let value = text.get(span).unwrap_or_default();
    let first: String = value.chars().take_while(|c| *c != '\n').take(40).collect();
    if first.len() < value.len() { format!("{first}…") } else { first }
}

/// `in [auth]`, or `at the top`.
pub(super) fn shown(section: &str) -> String {
    let many = SECTIONS.iter().any(|known| known.name == section && known.many);
    match section {
        "" => "at the top of the file".to_owned(),
        name if many => format!("in [[{name}]]"),
        name => format!("in [{name}]"),
    }
}

/// What to say of a key that nobody knows: the one that was meant, if that can be guessed, and all there are.
fn unknown(section: &str, key: &str) -> String {
    let mut here: Vec<&str> = Setting::of(section).map(|setting| setting.key).collect();
    let prefix = if section.is_empty() { String::new() } else { format!("{section}.") };
    let below = SECTIONS.iter().filter_map(|known| known.name.strip_prefix(&prefix));
    here.extend(below.filter(|name| !name.is_empty() && !name.contains('.')));
    let mut text = format!("{key:?} is not known {}", shown(section));
    let alike = |known: &&str| strsim::jaro_winkler(known, key);
    let nearest = here.iter().copied().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    let elsewhere = Setting::all().find(|setting| setting.key == key);
    if let Some(nearest) = nearest.filter(|nearest| alike(nearest) >= ALIKE) {
        text += &format!("; did you mean {nearest:?}?");
    } else if let Some(setting) = elsewhere {
        text += &format!("; it belongs {}", shown(setting.section));
    }
    text + &format!(" (known are: {})", here.join(", "))
}

/// What a setting may be, in words.
pub(super) fn allowed(kind: &Kind) -> String {
    match kind {
        Kind::Version => "write version = 1".to_owned(),
        Kind::Size(min, max) => {
            let (min, max) = (value::show_size(*min), value::show_size(*max));
            format!("write a size from \"{min}\" to \"{max}\", in B, KiB, MiB or GiB")
        }
        Kind::Time(min, max) => {
            let units = value::time_units(*max);
            let (min, max) = (value::show_time(*min), value::show_time(*max));
            format!("write a time from \"{min}\" to \"{max}\", in {units}")
        }
        Kind::Count(min, max) => format!("write a number from {min} to {max}"),
        Kind::Hostname => "write a name of letters, digits, - and ., at most 255".to_owned(),
        Kind::Path => {
            "write a path in quotes; a relative one starts at this file's directory".to_owned()
        }
        Kind::Address => {
            "write \"HOST:PORT\", such as \"[::]:143\", \"unix:PATH\" or \"systemd:NAME\""
                .to_owned()
        }
        Kind::Owner => "write \"USER\", \"USER:GROUP\" or \":GROUP\"".to_owned(),
        Kind::Permissions => "write permissions in octal, such as 0o660".to_owned(),
        Kind::Networks => "write a list, such as [\"192.0.2.0/24\", \"2001:db8::/32\"]".to_owned(),
        Kind::Choice(choices) => {
            let names: Vec<String> =
                choices.iter().map(|choice| format!("{:?}", choice.name)).collect();
            match names.as_slice() {
                [only] => format!("write {only}"),
                names => format!("write one of {}", names.join(", ")),
            }
        }
    }
}

/// Sets a field, or says what is allowed.
fn set(
    kind: &Kind,
    value: &DeValue<'_>,
    slot: Option<Slot<'_>>,
    base: &Path,
) -> Result<(), String> {
    let within = |n: Option<u64>, min, max| {
        n.filter(|n| (min..=max).contains(n)).ok_or_else(|| allowed(kind))
    };
    let number = |n: u64| match slot_number(n) {
        Some(n) => Ok(n),
        None => Err(allowed(kind)),
    };
    match (kind, value) {
        (Kind::Version, DeValue::Integer(n)) if integer(n) == Some(1) => Ok(()),
        (Kind::Version, DeValue::Integer(_)) => {
            Err("this Loft reads version 1 only; a newer one may be needed".to_owned())
        }
        (Kind::Size(min, max), DeValue::String(text)) => {
            store(number(within(value::size(text), *min, *max)?)?, slot);
            Ok(())
        }
        (Kind::Size(min, max), DeValue::Integer(n)) => {
            store(number(within(integer(n), *min, *max)?)?, slot);
            Ok(())
        }
        (Kind::Time(min, max), DeValue::String(text)) => {
            store(number(within(value::time(text), *min, *max)?)?, slot);
            Ok(())
        }
        (Kind::Count(min, max), DeValue::Integer(n)) => {
            store(number(within(integer(n), *min, *max)?)?, slot);
            Ok(())
        }
        (Kind::Permissions, DeValue::Integer(n)) => {
            store(number(within(integer(n), 0o001, 0o777)?)?, slot);
            Ok(())
        }
        (Kind::Permissions, DeValue::String(text)) => {
            let n = u64::from_str_radix(text, 8).ok();
            store(number(within(n, 0o001, 0o777)?)?, slot);
            Ok(())
        }
        (Kind::Hostname, DeValue::String(name)) if crate::assembly::is_hostname(name) => {
            if let Some(Slot::Text(field)) = slot {
                *field = name.to_string();
            }
            Ok(())
        }
        (Kind::Path, DeValue::String(path)) if !path.is_empty() && !path.contains('\0') => {
            if let Some(Slot::Path(field)) = slot {
                *field = base.join(path.as_ref());
            }
            Ok(())
        }
        (Kind::Address, DeValue::String(text)) => {
            let address = value::address(text)?;
            if let Some(Slot::Address(field)) = slot {
                *field = address;
            }
            Ok(())
        }
        (Kind::Networks, DeValue::Array(list)) => {
            let networks: Result<Vec<Network>, String> = list
                .iter()
                .map(|item| item.get_ref().as_str().ok_or_else(|| allowed(kind))?.parse())
                .collect();
            if let Some(Slot::Networks(field)) = slot {
                *field = networks?;
            }
            Ok(())
        }
        (Kind::Owner, DeValue::String(text)) => {
            let owner = OwnerName::new(text)?;
            if let Some(Slot::Owner(field)) = slot {
                *field = Some(owner);
            }
            Ok(())
        }
        (Kind::Choice(choices), DeValue::String(text)) => {
            match choices.iter().position(|choice| choice.name == text) {
                Some(at) => {
                    if let Some(Slot::Choice(field)) = slot {
                        field.pick(at);
                    }
                    Ok(())
                }
                None => Err(allowed(kind)),
            }
        }
        _ => Err(allowed(kind)),
    }
}

/// Whether a number fits every field on this machine.
fn slot_number(n: u64) -> Option<u64> {
    usize::try_from(n).ok().map(|_| n)
}

fn store(n: u64, slot: Option<Slot<'_>>) {
    match slot {
        Some(Slot::U32(field)) => *field = u32::try_from(n).unwrap_or(u32::MAX),
        Some(Slot::U64(field)) => *field = n,
        Some(Slot::Usize(field)) => *field = usize::try_from(n).unwrap_or(usize::MAX),
        Some(Slot::Duration(field)) => *field = Duration::from_millis(n),
        Some(
            Slot::Text(_)
            | Slot::Path(_)
            | Slot::Address(_)
            | Slot::Networks(_)
            | Slot::Owner(_)
            | Slot::Choice(_),
        )
        | None => {}
    }
}

fn integer(n: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(n.as_str(), n.radix()).ok()
}
