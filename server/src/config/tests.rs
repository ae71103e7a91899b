//! What is read, what is said of what is wrong, and that the page is what the code says.

use super::*;
use proptest::prelude::*;
use std::path::Path;

const PAGE: &str = "../docs/guide/configuration.md";

/// A file that is all right, for others to be made from.
const GOOD: &str = r#"version = 1
data_dir = "/var/mail/loft"
hostname = "mail.example.org"

[[listen]]
service = "imap"
address = "[::1]:143"

[[listen]]
service = "lmtp"
address = "unix:/run/loft/lmtp"
mode = 0o660

[tls]
certificate = "cert.pem"
key = "/etc/loft/key.pem"

[auth]
plaintext = "never"
remember = "10 min"

[[auth.source]]
driver = "passwd-file"
path = "users"

[limits]
message = "64 MiB"

[limits.imap]
line = 16_384
idle_time = "45 min"

[limits.lmtp]
recipients = 200

[durability]
mode = "power-loss"
flags = "synced"
"#;

fn parse(text: &str) -> Result<Read, Report> {
    read("loft.toml", text, Path::new("/etc/loft"))
}

/// What is said of a file.
fn said(text: &str) -> String {
    match parse(text) {
        Ok(read) => format!("{}(it works)", read.warnings),
        Err(report) => report.to_string(),
    }
}

/// [`GOOD`] with a line of it replaced.
fn but(line: &str, other: &str) -> String {
    assert!(GOOD.contains(line), "{line}");
    said(&GOOD.replacen(line, other, 1))
}

#[test]
fn all_of_a_good_file_is_read() {
    let Read { config, warnings, .. } = parse(GOOD).unwrap();
    assert!(warnings.problems().is_empty(), "{warnings}");
    assert_eq!(config.data_dir, Path::new("/var/mail/loft"));
    assert_eq!(config.hostname, "mail.example.org");
    let listen: Vec<_> =
        config.listen.iter().map(|l| (l.service, l.address.to_string(), l.mode, l.line)).collect();
    assert_eq!(
        listen,
        [
            (Service::Imap, "[::1]:143".to_owned(), 0o666, 5),
            (Service::Lmtp, "unix:/run/loft/lmtp".to_owned(), 0o660, 9),
        ]
    );
    let tls = config.tls.unwrap();
    assert_eq!(tls.certificate, Path::new("/etc/loft/cert.pem"), "relative to the file");
    assert_eq!(tls.key, Path::new("/etc/loft/key.pem"));
    assert_eq!(config.plaintext, Plaintext::Never);
    assert_eq!(config.remember, Duration::from_secs(600));
    assert_eq!(config.sources, [Path::new("/etc/loft/users")]);
    assert_eq!(config.store.message_max, 64 << 20);
    assert_eq!((config.imap.line, config.imap.idle_time), (16384, 45 * 60_000));
    assert_eq!(config.lmtp.recipients, 200);
    let defaults = Config::default();
    assert_eq!(config.imap.literals, defaults.imap.literals);
    assert_eq!(config.limits, defaults.limits);
}

#[test]
fn what_is_shown_is_read_again_as_the_same() {
    let first = parse(GOOD).unwrap();
    for defaults in [false, true] {
        let text = show(&first, defaults);
        let again = parse(&text).unwrap_or_else(|report| panic!("{report}\n{text}"));
        let all = |read: &Read| {
            let mut config = read.config.clone();
            config.listen.iter_mut().for_each(|listen| listen.line = 0);
            format!("{config:?}")
        };
        assert_eq!(all(&again), all(&first));
    }
    insta::assert_snapshot!(show(&first, false), @r#"
    version = 1
    data_dir = "/var/mail/loft"
    hostname = "mail.example.org"

    [[listen]]
    service = "imap"
    address = "[::1]:143"

    [[listen]]
    service = "lmtp"
    address = "unix:/run/loft/lmtp"
    mode = 0o660

    [tls]
    certificate = "/etc/loft/cert.pem"
    key = "/etc/loft/key.pem"

    [auth]
    plaintext = "never"
    remember = "10 min"

    [[auth.source]]
    driver = "passwd-file"
    path = "/etc/loft/users"

    [limits]
    message = "64 MiB"

    [limits.imap]
    line = "16 KiB"
    idle_time = "45 min"

    [limits.lmtp]
    recipients = 200

    [durability]
    mode = "power-loss"
    flags = "synced"
    "#);
}

#[test]
fn defaults_are_marked() {
    let shown = show(&parse(GOOD).unwrap(), true);
    for line in [
        "remember = \"10 min\"",
        "tls_handshakes = 256  # default",
        "line = \"16 KiB\"",
        "login_time = \"1 min\"  # default",
        "reserve = \"128 MiB\"  # default",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
}

#[test]
fn all_errors_are_said_at_once_each_where_it_is() {
    let text = r#"version = 2
datadir = "/var/mail/loft"
hostname = "under_score"

[[listen]]
servise = "imap"
address = ":143"

[[listen]]
service = "smtp"
address = "0.0.0.0:25"

[auth]
plaintext = "sometimes"

[limits.imap]
line = "1 KiB"
"#;
    insta::assert_snapshot!(said(text), @r#"
    loft.toml:1:1: error: "data_dir" is missing at the top of the file: write a path in quotes; a relative one starts at this file's directory
    loft.toml:1:1: warning: there is no [tls]: clients elsewhere get a certificate that nobody signed, and can't tell the server from another
    loft.toml:1:11: error: version = 2: this Loft reads version 1 only; a newer one may be needed
    loft.toml:2:1: error: "datadir" is not known at the top of the file; did you mean "data_dir"? (known are: version, data_dir, hostname, listen, tls, auth, limits, durability, storage, attachments, log)
    loft.toml:3:12: error: hostname = "under_score": write a name of letters, digits, - and ., at most 255
    loft.toml:5:1: error: "service" is missing in [[listen]]: write one of "imap", "imaps", "lmtp"
    loft.toml:6:1: error: "servise" is not known in [[listen]]; did you mean "service"? (known are: service, address, mode, owner, trusted_networks)
    loft.toml:7:11: error: address = ":143": the host is missing; "[::]:143" means all addresses of this machine
    loft.toml:10:11: error: service = "smtp": write one of "imap", "imaps", "lmtp"
    loft.toml:13:1: error: there is no [[auth.source]]: nobody could log in
    loft.toml:14:13: error: plaintext = "sometimes": write one of "never", "loopback", "always"
    loft.toml:17:8: error: line = "1 KiB": write a size from "8 KiB" to "1 MiB", in B, KiB, MiB or GiB
    "#);
}

#[test]
fn an_empty_file_lacks_everything() {
    insta::assert_snapshot!(said(""), @r#"
    loft.toml:1:1: error: "version" is missing at the top of the file: write version = 1
    loft.toml:1:1: error: "data_dir" is missing at the top of the file: write a path in quotes; a relative one starts at this file's directory
    loft.toml:1:1: error: there is no [[listen]]: the server would be reached by nobody
    loft.toml:1:1: error: there is no [[auth.source]]: nobody could log in
    "#);
}

#[test]
fn what_is_not_toml() {
    insta::assert_snapshot!(said("version = 1\ndata_dir = /var/mail\n[tls\nkey = \"x\"\n"), @r#"
    loft.toml:2:12: error: this is not TOML: string values must be quoted, expected literal string
    loft.toml:3:5: error: this is not TOML: unclosed table, expected `]`
    "#);
    insta::assert_snapshot!(said("version = 1\nversion = 1\n"), @"loft.toml:2:1: error: this is not TOML: duplicate key");
    insta::assert_snapshot!(said("data_dir = \"/var\n"), @r#"loft.toml:1:17: error: this is not TOML: invalid basic string, expected `"`"#);
}

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(but("hostname =", "host_name ="), @r#"loft.toml:3:1: error: "host_name" is not known at the top of the file; did you mean "hostname"? (known are: version, data_dir, hostname, listen, tls, auth, limits, durability, storage, attachments, log)"#);
    insta::assert_snapshot!(but("plaintext =", "cleartext ="), @r#"loft.toml:19:1: error: "cleartext" is not known in [auth] (known are: plaintext, remember, source)"#);
    insta::assert_snapshot!(but("[tls]", "[ssl]"), @r#"loft.toml:14:2: error: "ssl" is not known at the top of the file (known are: version, data_dir, hostname, listen, tls, auth, limits, durability, storage, attachments, log)"#);
    insta::assert_snapshot!(but("remember =", "certificate ="), @r#"loft.toml:20:1: error: "certificate" is not known in [auth]; it belongs in [tls] (known are: plaintext, remember, source)"#);
    insta::assert_snapshot!(but("recipients =", "recipient ="), @r#"loft.toml:34:1: error: "recipient" is not known in [limits.lmtp]; did you mean "recipients"? (known are: connections, connections_before_login, connections_per_address, connections_per_network, line, discard, recipients, unsent, errors, refusals, lhlo_timeout, command_timeout, text_timeout, text_block, close_timeout)"#);
    insta::assert_snapshot!(but("message =", "literal_count ="), @r#"loft.toml:27:1: error: "literal_count" is not known in [limits]; it belongs in [limits.imap] (known are: message, tls_handshakes, tls_handshake_time, waiting_logins, stop_time, output, trusted_networks, login, imap, lmtp, store)"#);
    insta::assert_snapshot!(but("mode = 0o660", "\"a b\\n\" = 1"), @r#"loft.toml:12:1: error: "a b\n" is not known in [[listen]] (known are: service, address, mode, owner, trusted_networks)"#);
}

#[test]
fn whom_the_limits_trust() {
    let read = parse(GOOD).unwrap();
    let shown = |networks: &[Network]| -> Vec<String> {
        networks.iter().map(ToString::to_string).collect()
    };
    assert_eq!(shown(&read.config.limits.trusted_networks), ["127.0.0.0/8", "::1/128"]);
    insta::assert_snapshot!(but("message =", "trusted_networks = []\nmessage ="), @"(it works)");
    insta::assert_snapshot!(but("message =", "trusted_networks = [\"::/0\"]\nmessage ="), @r"
    loft.toml:27:1: warning: everybody on the internet may guess passwords without a delay, over as many connections as there are
    (it works)
    ");
    insta::assert_snapshot!(but("message =", "trusted_networks = [\"localhost\"]\nmessage ="), @r#"loft.toml:27:20: error: trusted_networks = ["localhost"]: "localhost" is no network; write 192.0.2.0/24, 2001:db8::/32 or one address"#);
}

#[test]
fn missing_keys() {
    insta::assert_snapshot!(but("version = 1\n", ""), @r#"loft.toml:1:1: error: "version" is missing at the top of the file: write version = 1"#);
    insta::assert_snapshot!(but("address = \"[::1]:143\"\n", ""), @r#"
    loft.toml:5:1: error: "address" is missing in [[listen]]: write "HOST:PORT", such as "[::]:143", "unix:PATH" or "systemd:NAME"
    "#);
    insta::assert_snapshot!(but("key = \"/etc/loft/key.pem\"\n", ""), @r#"loft.toml:14:1: error: "key" is missing in [tls]: write a path in quotes; a relative one starts at this file's directory"#);
    insta::assert_snapshot!(but("driver = \"passwd-file\"\n", ""), @r#"loft.toml:22:1: error: "driver" is missing in [[auth.source]]: write "passwd-file""#);
}

#[test]
fn sections_in_the_wrong_form() {
    insta::assert_snapshot!(said("version = 1\ndata_dir = \"x\"\n[listen]\nservice = \"imap\"\n"), @r#"
    loft.toml:1:1: error: there is no [[auth.source]]: nobody could log in
    loft.toml:3:2: error: [[listen]] has two brackets: there may be several
    "#);
    insta::assert_snapshot!(but("[tls]", "[[tls]]"), @"loft.toml:14:3: error: [tls] is a section of its own, with one bracket");
    insta::assert_snapshot!(said("version = 1\ndata_dir = \"x\"\nlisten = [1]\nauth = 2\n"), @r#"
    loft.toml:3:11: error: write [[listen]]
    loft.toml:4:1: error: [auth] is a section of its own, with one bracket
    loft.toml:4:1: error: there is no [[auth.source]]: nobody could log in
    "#);
}

#[test]
fn values_of_every_kind() {
    for (line, wrong) in [
        ("version = 1", "version = \"1\""),
        ("version = 1", "version = 9"),
        ("data_dir = \"/var/mail/loft\"", "data_dir = 5"),
        ("data_dir = \"/var/mail/loft\"", "data_dir = \"\""),
        ("hostname = \"mail.example.org\"", "hostname = \"a b\""),
        ("mode = 0o660", "mode = 0"),
        ("mode = 0o660", "mode = \"rw\""),
        ("mode = 0o660", "mode = 660"),
        ("plaintext = \"never\"", "plaintext = true"),
        ("plaintext = \"never\"", "plaintext = \"Never\""),
        ("remember = \"10 min\"", "remember = 600"),
        ("remember = \"10 min\"", "remember = \"2 days\""),
        ("driver = \"passwd-file\"", "driver = \"ldap\""),
        ("message = \"64 MiB\"", "message = \"64 MB\""),
        ("message = \"64 MiB\"", "message = 1000"),
        ("idle_time = \"45 min\"", "idle_time = \"5 min\""),
        ("recipients = 200", "recipients = -1"),
        ("recipients = 200", "recipients = \"200\""),
        ("recipients = 200", "recipients = 0x1_0000_0000_0000_0000"),
        ("mode = \"power-loss\"", "mode = \"none\""),
        ("flags = \"synced\"", "flags = \"never\""),
        ("flags = \"synced\"", "flags = [\n  \"synced\",\n]"),
    ] {
        let said = but(line, wrong);
        assert!(said.contains(": error: "), "{wrong}: {said}");
    }
    let lines: Vec<String> = [
        ("version = 1", "version = 9"),
        ("data_dir = \"/var/mail/loft\"", "data_dir = 5"),
        ("hostname = \"mail.example.org\"", "hostname = \"a b\""),
        ("mode = 0o660", "mode = 0"),
        ("plaintext = \"never\"", "plaintext = \"Never\""),
        ("remember = \"10 min\"", "remember = 600"),
        ("driver = \"passwd-file\"", "driver = \"ldap\""),
        ("message = \"64 MiB\"", "message = \"64 MB\""),
        ("idle_time = \"45 min\"", "idle_time = \"5 min\""),
        ("recipients = 200", "recipients = -1"),
        ("mode = \"power-loss\"", "mode = \"none\""),
        ("flags = \"synced\"", "flags = \"never\""),
    ]
    .map(|(line, wrong)| but(line, wrong))
    .to_vec();
    insta::assert_snapshot!(lines.concat(), @r#"
    loft.toml:1:11: error: version = 9: this Loft reads version 1 only; a newer one may be needed
    loft.toml:2:12: error: data_dir = 5: write a path in quotes; a relative one starts at this file's directory
    loft.toml:3:12: error: hostname = "a b": write a name of letters, digits, - and ., at most 255
    loft.toml:12:8: error: mode = 0: write permissions in octal, such as 0o660
    loft.toml:19:13: error: plaintext = "Never": write one of "never", "loopback", "always"
    loft.toml:20:12: error: remember = 600: write a time from "0 s" to "24 h", in ms, s, min or h
    loft.toml:23:10: error: driver = "ldap": write "passwd-file"
    loft.toml:27:11: error: message = "64 MB": write a size from "1 MiB" to "2 GiB", in B, KiB, MiB or GiB
    loft.toml:31:13: error: idle_time = "5 min": write a time from "30 min" to "30 d", in ms, s, min, h or d
    loft.toml:34:14: error: recipients = -1: write a number from 100 to 100000
    loft.toml:37:8: error: mode = "none": write one of "power-loss", "process-crash"
    loft.toml:38:9: error: flags = "never": write one of "synced", "deferred"
    "#);
}

#[test]
fn addresses() {
    let lines: Vec<String> = [
        "143",
        ":143",
        "localhost:143",
        "mail.example.org:143",
        "::1:143",
        "127.0.0.1:imap",
        "127.0.0.1:70000",
        "unix:",
        "unix:lmtp",
        "systemd:",
        "systemd:a:b",
        "systemd:imap",
    ]
    .map(|address| but("address = \"[::1]:143\"", &format!("address = \"{address}\"")))
    .to_vec();
    insta::assert_snapshot!(lines.concat(), @r#"
    loft.toml:7:11: error: address = "143": "143" is no address; write HOST:PORT, such as "[::]:143", or unix:PATH
    loft.toml:7:11: error: address = ":143": the host is missing; "[::]:143" means all addresses of this machine
    loft.toml:7:11: error: address = "localhost:143": write "127.0.0.1:143" or "[::1]:143": names are not looked up
    loft.toml:7:11: error: address = "mail.example.org:143": "mail.example.org" is no IP address, and names are not looked up; write one, or "[::]:143" for all
    loft.toml:7:11: error: address = "::1:143": an IPv6 address stands in brackets: "[::1]:143"
    loft.toml:7:11: error: address = "127.0.0.1:imap": "imap" is not a port; those are 0 to 65535
    loft.toml:7:11: error: address = "127.0.0.1:70000": "70000" is not a port; those are 0 to 65535
    loft.toml:7:11: error: address = "unix:": a UNIX socket is written unix:PATH with a whole path, such as unix:/run/loft/lmtp
    loft.toml:7:11: error: address = "unix:lmtp": a UNIX socket is written unix:PATH with a whole path, such as unix:/run/loft/lmtp
    loft.toml:7:11: error: address = "systemd:": systemd's sockets are written systemd:NAME, with the FileDescriptorName= of their unit
    loft.toml:7:11: error: address = "systemd:a:b": systemd's sockets are written systemd:NAME, with the FileDescriptorName= of their unit
    (it works)
    "#);
}

#[test]
fn listeners_that_do_not_go_together() {
    insta::assert_snapshot!(but("address = \"[::1]:143\"", "address = \"unix:/run/loft/lmtp\""), @"loft.toml:11:1: error: unix:/run/loft/lmtp is listened on already");
    insta::assert_snapshot!(but("address = \"[::1]:143\"", "address = \"[::1]:143\"\nmode = 0o600"), @"loft.toml:8:1: error: only a UNIX socket (unix:PATH) has a mode");
    insta::assert_snapshot!(
        but("mode = 0o660", "trusted_networks = [\"192.0.2.0/24\"]"), @"loft.toml:12:1: error: a UNIX socket has no networks; its mode and its directory say who may connect");
    insta::assert_snapshot!(
        but("address = \"[::1]:143\"", "address = \"[::1]:143\"\ntrusted_networks = [\"192.0.2.0/24\"]"), @"loft.toml:8:1: error: only LMTP goes by trusted_networks; IMAP asks for a password");
    let twice = format!("{GOOD}[[auth.source]]\ndriver = \"passwd-file\"\npath = \"users\"\n");
    insta::assert_snapshot!(said(&twice), @"loft.toml:41:1: error: /etc/loft/users is a source already");
}

#[test]
fn owners_are_of_sockets_in_the_file_system() {
    let lines: Vec<String> = [
        ("mode = 0o660", "owner = \"root:nobody-is-called-so\""),
        ("mode = 0o660", "owner = \"nobody-is-called-so\""),
        ("mode = 0o660", "owner = \"\""),
        ("mode = 0o660", "owner = 0"),
        ("address = \"[::1]:143\"", "address = \"[::1]:143\"\nowner = \"root\""),
        ("address = \"[::1]:143\"", "address = \"systemd:imap\"\nowner = \"root\"\nmode = 0o600"),
    ]
    .map(|(line, other)| but(line, other))
    .to_vec();
    insta::assert_snapshot!(lines.concat(), @r#"
    loft.toml:12:9: error: owner = "root:nobody-is-called-so": no group is called "nobody-is-called-so" in /etc/group
    loft.toml:12:9: error: owner = "nobody-is-called-so": no user is called "nobody-is-called-so" in /etc/passwd
    loft.toml:12:9: error: owner = "": write "USER", "USER:GROUP" or ":GROUP"
    loft.toml:12:9: error: owner = 0: write "USER", "USER:GROUP" or ":GROUP"
    loft.toml:8:1: error: only a UNIX socket (unix:PATH) has an owner
    loft.toml:8:1: error: only a UNIX socket (unix:PATH) has an owner
    loft.toml:9:1: error: only a UNIX socket (unix:PATH) has a mode
    "#);
    let good = GOOD.replace("mode = 0o660", "mode = 0o660\nowner = \":0\"");
    let read = parse(&good).unwrap();
    let owner = read.config.listen.last().and_then(|listen| listen.owner.clone()).unwrap();
    assert_eq!(owner.owner(), runtime_smol::Owner { user: None, group: Some(0) });
    assert!(
        show(&read, false).contains("mode = 0o660\nowner = \":0\"\n"),
        "{}",
        show(&read, false)
    );
    assert!(!show(&parse(GOOD).unwrap(), true).contains("owner"));
}

#[test]
fn what_is_logged() {
    let log = |lines: &str| said(&format!("{GOOD}[log]\n{lines}"));
    let lines = ["format = \"xml\"", "level = \"trace\"", "format = \"json\"\nlevel = \"warn\""];
    insta::assert_snapshot!(lines.map(log).concat(), @r#"
    loft.toml:40:10: error: format = "xml": write one of "text", "json"
    loft.toml:40:9: error: level = "trace": write one of "error", "warn", "info", "debug"
    (it works)
    "#);
}

#[test]
fn lmtp_on_the_network_needs_trusted_networks() {
    let lmtp = |lines: &str| but("address = \"unix:/run/loft/lmtp\"\nmode = 0o660", lines);
    insta::assert_snapshot!(lmtp("address = \"0.0.0.0:24\""), @r#"loft.toml:11:1: error: LMTP knows no log-in: on 0.0.0.0:24 everybody who gets there could put mail into every mailbox; listen on "127.0.0.1:24" or "unix:PATH", or name those who may connect with trusted_networks = ["192.0.2.7"]"#);
    insta::assert_snapshot!(lmtp("address = \"[::]:24\"\ntrusted_networks = []"), @r#"loft.toml:11:1: error: LMTP knows no log-in: on [::]:24 everybody who gets there could put mail into every mailbox; listen on "127.0.0.1:24" or "unix:PATH", or name those who may connect with trusted_networks = ["192.0.2.7"]"#);
    insta::assert_snapshot!(lmtp("address = \"10.0.0.1:24\"\ntrusted_networks = [\"10.0.0.0/24\"]"), @"(it works)");
    insta::assert_snapshot!(lmtp("address = \"[::]:24\"\ntrusted_networks = [\"::/0\"]"), @r#"
    loft.toml:12:1: warning: everybody on the internet may put mail into every mailbox here
    (it works)
    "#);
    insta::assert_snapshot!(lmtp("address = \"[::]:24\"\ntrusted_networks = [\"10.0.0.1/8\", \"x\"]"), @r#"loft.toml:12:20: error: trusted_networks = ["10.0.0.1/8", "x"]: "10.0.0.1/8" has bits set behind its first 8; write the network's own address"#);
    insta::assert_snapshot!(lmtp("address = \"[::]:24\"\ntrusted_networks = \"10.0.0.0/8\""), @r#"loft.toml:12:20: error: trusted_networks = "10.0.0.0/8": write a list, such as ["192.0.2.0/24", "2001:db8::/32"]"#);
    insta::assert_snapshot!(lmtp("address = \"127.0.0.1:24\""), @"(it works)");
}

#[test]
fn what_is_not_safe_is_warned_of() {
    let open = GOOD.replace("[::1]:143", "[::]:143").replace("\"never\"", "\"always\"");
    insta::assert_snapshot!(said(&open), @r#"
    loft.toml:19:1: warning: passwords may come without TLS from everywhere: whoever sees the network sees them; "loopback" is safe
    (it works)
    "#);
    let tls = "[tls]\ncertificate = \"cert.pem\"\nkey = \"/etc/loft/key.pem\"\n";
    insta::assert_snapshot!(said(&GOOD.replace("[::1]:143", "[::]:143").replace(tls, "")), @r#"
    loft.toml:1:1: warning: there is no [tls]: clients elsewhere get a certificate that nobody signed, and can't tell the server from another
    (it works)
    "#);
    // Nobody else gets there.
    insta::assert_snapshot!(said(&GOOD.replace(tls, "").replace("\"never\"", "\"always\"")), @"(it works)");
}

#[test]
fn columns_are_counted_in_characters() {
    insta::assert_snapshot!(
        said("version = 1\ndata_dir = \"x\"\nauth = { \"\u{e4}\u{f6}\" = 1, plaintext = \"x\" }\n"), @r#"
        loft.toml:1:1: error: there is no [[listen]]: the server would be reached by nobody
        loft.toml:3:8: error: there is no [[auth.source]]: nobody could log in
        loft.toml:3:10: error: "äö" is not known in [auth] (known are: plaintext, remember, source)
        loft.toml:3:32: error: plaintext = "x": write one of "never", "loopback", "always"
        "#);
}

proptest! {
    #[test]
    fn whatever_the_file_is_reading_it_ends(text in "\\PC{0,60}", line in 0usize..30) {
        let mut lines: Vec<&str> = GOOD.lines().collect();
        if let Some(place) = lines.get_mut(line) {
            *place = &text;
        }
        let said = said(&lines.join("\n"));
        prop_assert!(said.ends_with("(it works)") || said.contains(": error: "), "{}", said);
    }
}

#[test]
fn the_page_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = page();
    if std::env::var_os("LOFT_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/guide/configuration.md is not what the code says; write it anew with LOFT_WRITE_DOCS=1"
    );
}

#[test]
fn the_example_of_the_page_is_right_and_safe() {
    let page = page();
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let read = parse(example).unwrap_or_else(|report| panic!("{report}"));
    assert!(read.warnings.problems().is_empty(), "{}", read.warnings);
}

#[test]
fn every_default_is_allowed_and_every_setting_stands_once() {
    for (n, setting) in settings::Setting::all().enumerate() {
        let same = |other: &&settings::Setting| {
            (other.section, other.key) == (setting.section, setting.key)
        };
        assert_eq!(settings::Setting::all().find(same).map(|s| s.doc), Some(setting.doc), "{n}");
        let section = settings::SECTIONS.iter().any(|section| section.name == setting.section);
        assert!(section && !setting.doc.is_empty(), "{}", setting.key);
    }
    // Reads them all by their bounds.
    let shown = show(&parse(GOOD).unwrap(), true);
    assert!(parse(&shown).is_ok(), "{shown}");
}
