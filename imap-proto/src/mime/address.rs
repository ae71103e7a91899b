//! Addresses of a header field (RFC 5322 §3.4, obsolete forms §4.4) as ENVELOPE shows them.
//!
//! One pass, no recursion: groups don't nest, comments are counted. What is malformed still gives an address where one
//! can be seen, with `MISSING_MAILBOX`, `MISSING_DOMAIN`, `INVALID_ROUTE` or `SYNTAX_ERROR` for what can't.

use super::value::{Bytes, Lexer};
use super::wire;

/// The addresses of one field's value.
pub(super) struct Addresses<'a> {
    lexer: Lexer<'a>,
}

/// One address, or a word in front of one, being read.
#[derive(Default)]
struct Mailbox {
    name: Vec<u8>,
    route: Vec<u8>,
    /// May be empty: `""@host`.
    local: Option<Vec<u8>>,
    domain: Vec<u8>,
}

/// Words in front of what tells whether they are a name, a mailbox or a group.
#[derive(Default)]
struct Words {
    /// With one space between words, and where there was white space or a comment around a dot.
    phrase: Vec<u8>,
    /// With nothing there, since a local part may have it around its dots (RFC 5322 §4.4); up to the second word that
    /// no dot joins.
    local: Vec<u8>,
    /// Two words without a dot between them: no local part.
    several: bool,
    /// One quoted string and nothing else.
    quoted: bool,
    seen: bool,
}

impl<'a> Addresses<'a> {
    pub(super) fn new(value: &'a [u8]) -> Addresses<'a> {
        Addresses { lexer: Lexer::new(value) }
    }

    /// Appends `(name route mailbox host)` for each address, without a space between them, while `left` isn't 0.
    ///
    /// A group is `(NIL NIL "name" NIL)`, its addresses, and `(NIL NIL NIL NIL)` (RFC 9051 §7.5.2).
    pub(super) fn write(mut self, left: &mut u32, out: &mut Vec<u8>) {
        let mut in_group = false;
        while *left > 0 {
            self.lexer.skip_cfws();
            let mut comment = None;
            match self.lexer.peek() {
                None => break,
                // RFC 5322 §4.4: a list may have empty elements.
                Some(b',') => self.lexer.bump(),
                Some(b';') => {
                    self.lexer.bump();
                    if std::mem::take(&mut in_group) {
                        out.extend_from_slice(b"(NIL NIL NIL NIL)");
                    }
                }
                Some(_) => {
                    let words = self.words(&mut comment);
                    if !in_group && self.lexer.take(b':') {
                        in_group = true;
                        out.extend_from_slice(b"(NIL NIL ");
                        wire::write_nstring(Some(&words.phrase), out);
                        out.extend_from_slice(b" NIL)");
                    } else {
                        self.mailbox(words, comment).write(out);
                    }
                    *left -= 1;
                }
            }
        }
        if in_group {
            out.extend_from_slice(b"(NIL NIL NIL NIL)");
        }
    }

    /// Takes words up to something that is no part of a phrase or a local part.
    fn words(&mut self, comment: &mut Option<&'a [u8]>) -> Words {
        let mut words = Words {
            phrase: Vec::with_capacity(USUAL),
            local: Vec::with_capacity(USUAL),
            ..Words::default()
        };
        let mut behind_dot = true;
        let mut behind_space = false;
        loop {
            match self.lexer.peek() {
                Some(b'"') => match self.lexer.quoted() {
                    Some(text) => {
                        let first = !words.seen;
                        words.push(&text, behind_dot, behind_space);
                        words.quoted = first;
                    }
                    None => {
                        // A quote that doesn't end hides all that follows.
                        self.lexer.rest = &[];
                        return words;
                    }
                },
                Some(b'.') => {
                    self.lexer.bump();
                    words.push(b".", true, behind_space);
                    behind_dot = true;
                    behind_space = self.space(comment);
                    continue;
                }
                Some(byte) if is_atext(byte) => {
                    let atom = self.lexer.take_while(is_atext);
                    words.push(atom, behind_dot, behind_space);
                }
                _ => return words,
            }
            behind_dot = false;
            behind_space = self.space(comment);
        }
    }

    /// Skips white space and comments; whether there were any.
    fn space(&mut self, comment: &mut Option<&'a [u8]>) -> bool {
        let before = self.lexer.rest.len();
        if let Some(found) = self.lexer.skip_cfws() {
            *comment = Some(found);
        }
        self.lexer.rest.len() < before
    }

    /// The address that these words begin; takes all up to the next comma, or semicolon where it ends a group.
    fn mailbox(&mut self, words: Words, mut comment: Option<&'a [u8]>) -> Mailbox {
        let mut mailbox = Mailbox::default();
        match self.lexer.peek() {
            Some(b'<') => {
                self.lexer.bump();
                mailbox.name = words.phrase;
                self.angle(&mut mailbox);
                self.skip_rest(&mut None);
                return mailbox;
            }
            Some(b'@') if !words.several => {
                self.lexer.bump();
                mailbox.local = words.seen.then_some(words.local);
                mailbox.domain = self.domain(&mut comment);
            }
            _ if words.several => mailbox.name = words.phrase,
            // Quotes are for names far more often than for mailboxes.
            _ if words.quoted && comment.is_none() => mailbox.name = words.phrase,
            _ => mailbox.local = words.seen.then_some(words.local),
        }
        self.skip_rest(&mut comment);
        if mailbox.name.is_empty() {
            // RFC 822 practice: `user@host (Full Name)`.
            mailbox.name = comment.map(unescaped).unwrap_or_default();
        }
        mailbox
    }

    /// `[route] local@domain>` behind the `<`.
    fn angle(&mut self, mailbox: &mut Mailbox) {
        let mut comment = None;
        self.lexer.skip_cfws();
        if self.lexer.peek() == Some(b'@') && !self.route(&mut mailbox.route) {
            mailbox.route = b"INVALID_ROUTE".to_vec(); // what follows may still be an address
        }
        let words = self.words(&mut comment);
        mailbox.local = words.seen.then_some(words.local);
        if !words.several && self.lexer.take(b'@') {
            mailbox.domain = self.domain(&mut comment);
        }
        self.lexer.skip_cfws();
        if words.several || !self.lexer.take(b'>') {
            mailbox.domain = b"SYNTAX_ERROR".to_vec();
        }
    }

    /// `@a,@b:` (RFC 5322 §4.4); whether its colon was there.
    fn route(&mut self, route: &mut Vec<u8>) -> bool {
        let mut comment = None;
        loop {
            while self.lexer.take(b',') {
                self.lexer.skip_cfws();
            }
            if !self.lexer.take(b'@') {
                return self.lexer.take(b':');
            }
            let domain = self.domain(&mut comment);
            if !route.is_empty() {
                route.push(b',');
            }
            route.push(b'@');
            route.extend_from_slice(&domain);
            if domain.is_empty() || self.lexer.peek().is_none() {
                return false;
            }
        }
    }

    /// Atoms with dots, or a literal in brackets (RFC 5322 §3.4.1); empty when neither is there.
    fn domain(&mut self, comment: &mut Option<&'a [u8]>) -> Vec<u8> {
        self.space(comment);
        let mut domain = Vec::with_capacity(USUAL);
        if self.lexer.peek() == Some(b'[') {
            let inside = self.lexer.take_while(|byte| byte != b']');
            if self.lexer.take(b']') {
                domain.extend_from_slice(inside);
                domain.push(b']');
            }
            self.space(comment);
            return domain;
        }
        while self.lexer.peek().is_some_and(is_atext) {
            domain.extend_from_slice(self.lexer.take_while(is_atext));
            self.space(comment);
            while self.lexer.take(b'.') {
                domain.push(b'.');
                self.space(comment);
            }
            if !domain.ends_with(b".") {
                return domain;
            }
        }
        self.space(comment);
        domain
    }

    /// Skips what can't be part of an address, up to a comma or semicolon.
    fn skip_rest(&mut self, comment: &mut Option<&'a [u8]>) {
        loop {
            self.space(comment);
            match self.lexer.peek() {
                None | Some(b',' | b';') => return,
                Some(b'"') => {
                    if self.lexer.quoted().is_none() {
                        self.lexer.rest = &[];
                    }
                }
                Some(_) => {
                    self.lexer.bump();
                    self.lexer.take_while(|byte| {
                        !matches!(byte, b',' | b';' | b'"' | b'(' | b' ' | b'\t')
                    });
                }
            }
        }
    }
}

impl Words {
    fn push(&mut self, word: &[u8], behind_dot: bool, behind_space: bool) {
        if self.seen && (behind_space || !behind_dot) {
            self.phrase.push(b' ');
        }
        self.phrase.extend_from_slice(word);
        self.quoted = false;
        self.several |= !behind_dot;
        if !self.several {
            self.local.extend_from_slice(word);
        }
        self.seen = true;
    }
}

impl Mailbox {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'(');
        for part in [&self.name, &self.route] {
            wire::write_nstring((!part.is_empty()).then_some(part), out);
            out.push(b' ');
        }
        wire::write_nstring(Some(self.local.as_deref().unwrap_or(b"MISSING_MAILBOX")), out);
        out.push(b' ');
        let domain = if self.domain.is_empty() { b"MISSING_DOMAIN" } else { &*self.domain };
        wire::write_nstring(Some(domain), out);
        out.push(b')');
    }
}

/// A comment's inside as a name: without its escapes and outer white space.
fn unescaped(comment: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(comment.len());
    let mut bytes = comment.trim_ascii().iter();
    while let Some(&byte) = bytes.next() {
        name.extend(if byte == b'\\' { bytes.next().copied() } else { Some(byte) });
    }
    name
}

/// RFC 5322 §3.2.3, with 8-bit bytes as mail has them; everything that isn't special counts, so nothing gets stuck.
fn is_atext(byte: u8) -> bool {
    ATEXT.has(byte)
}

static ATEXT: Bytes = Bytes::visible_but(b"()<>[]:;@\\,.\"");

/// Room for most names and addresses, so that they are not copied while they grow.
const USUAL: usize = 64;
