//! `envelope` and `body` of RFC 9051 §9, to the letter: what doesn't obey them panics.

/// A reader of what was written.
pub(crate) struct Grammar<'a> {
    rest: &'a [u8],
}

/// A part of a structure, outside before inside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shown {
    /// So many parts.
    Multipart(usize),
    /// So many octets.
    Single(u64),
    /// The empty text in a message whose body can't be looked at: its envelope is all NIL.
    Invented,
}

impl<'a> Grammar<'a> {
    /// Reads all of `wire`.
    pub(crate) fn check(wire: &'a [u8], read: impl FnOnce(&mut Grammar<'a>)) {
        let mut grammar = Grammar { rest: wire };
        read(&mut grammar);
        assert!(grammar.rest.is_empty(), "behind the end: {}", grammar.rest.escape_ascii());
    }

    fn takes(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text.as_bytes()) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, text: &str) {
        assert!(self.takes(text), "{text:?} expected: {}", self.rest.escape_ascii());
    }

    fn number(&mut self) -> u64 {
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        std::str::from_utf8(digits).unwrap().parse().expect("a number")
    }

    /// `string`: quoted, or a literal without NUL.
    fn string(&mut self) -> Vec<u8> {
        if self.takes("{") {
            let len = usize::try_from(self.number()).unwrap();
            self.expect("}\r\n");
            let (text, rest) = self.rest.split_at(len);
            self.rest = rest;
            assert!(!text.contains(&0), "CHAR8 excludes NUL");
            return text.to_vec();
        }
        self.expect("\"");
        let mut text = Vec::new();
        loop {
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return text;
                }
                [b'\\', byte @ (b'"' | b'\\'), rest @ ..] => {
                    text.push(*byte);
                    self.rest = rest;
                }
                [byte @ b' '..=b'~', rest @ ..] if *byte != b'\\' => {
                    text.push(*byte);
                    self.rest = rest;
                }
                other => panic!("no QUOTED-CHAR: {}", other.escape_ascii()),
            }
        }
    }

    fn nstring(&mut self) -> Option<Vec<u8>> {
        if self.takes("NIL") { None } else { Some(self.string()) }
    }

    /// `envelope`
    pub(crate) fn envelope(&mut self) {
        self.envelope_is_nil();
    }

    /// Reads an envelope; whether all of it is NIL.
    fn envelope_is_nil(&mut self) -> bool {
        self.expect("(");
        let mut nil = self.nstring().is_none();
        self.expect(" ");
        nil &= self.nstring().is_none();
        for _ in 0..6 {
            self.expect(" ");
            nil &= self.addresses();
        }
        for _ in 0..2 {
            self.expect(" ");
            nil &= self.nstring().is_none();
        }
        self.expect(")");
        nil
    }

    /// `"(" 1*address ")" / nil`; groups begin and end in turn. Whether it is NIL.
    fn addresses(&mut self) -> bool {
        if self.takes("NIL") {
            return true;
        }
        self.expect("(");
        let mut in_group = false;
        loop {
            self.expect("(");
            let name = self.nstring();
            self.expect(" ");
            let route = self.nstring();
            self.expect(" ");
            let mailbox = self.nstring();
            self.expect(" ");
            let host = self.nstring();
            self.expect(")");
            if host.is_none() {
                assert!(name.is_none() && route.is_none());
                assert_eq!(mailbox.is_none(), in_group, "groups don't nest");
                in_group = !in_group;
            } else {
                assert!(mailbox.is_some(), "an address has a mailbox");
            }
            if self.takes(")") {
                assert!(!in_group, "a group ends");
                return false;
            }
        }
    }

    /// `body`; adds its parts.
    pub(crate) fn body(&mut self, extended: bool, shown: &mut Vec<Shown>) {
        self.expect("(");
        if self.rest.first() != Some(&b'(') {
            return self.single(extended, shown);
        }
        let at = shown.len();
        shown.push(Shown::Multipart(0));
        let mut parts = 0;
        while self.rest.first() == Some(&b'(') {
            self.body(extended, shown);
            parts += 1;
        }
        shown[at] = Shown::Multipart(parts);
        self.expect(" ");
        assert!(!self.string().is_empty(), "media-subtype of a multipart");
        if extended {
            self.expect(" ");
            self.params();
            self.extension();
        }
        self.expect(")");
    }

    /// `body-type-1part`
    fn single(&mut self, extended: bool, shown: &mut Vec<Shown>) {
        let kind = self.string().to_ascii_lowercase();
        self.expect(" ");
        let subtype = self.string().to_ascii_lowercase();
        assert_ne!(kind, b"multipart", "what has no parts is no multipart");
        self.expect(" ");
        self.params();
        self.expect(" ");
        self.nstring();
        self.expect(" ");
        self.nstring();
        self.expect(" ");
        assert!(!self.string().is_empty(), "body-fld-enc");
        self.expect(" ");
        shown.push(Shown::Single(self.number()));
        let is_message = kind == b"message" && (subtype == b"rfc822" || subtype == b"global");
        if is_message {
            self.expect(" ");
            let nil = self.envelope_is_nil();
            self.expect(" ");
            let at = shown.len();
            let invented = nil && self.rest.starts_with(INVENTED);
            self.body(extended, shown);
            if invented {
                shown[at] = Shown::Invented;
            }
        }
        if is_message || kind == b"text" {
            self.expect(" ");
            self.number();
        }
        if extended {
            self.expect(" ");
            self.nstring();
            self.extension();
        }
        self.expect(")");
    }

    /// `body-fld-param`
    fn params(&mut self) {
        if self.takes("NIL") {
            return;
        }
        self.expect("(");
        loop {
            self.string();
            self.expect(" ");
            self.string();
            if self.takes(")") {
                return;
            }
            self.expect(" ");
        }
    }

    /// `SP body-fld-dsp SP body-fld-lang SP body-fld-loc`
    fn extension(&mut self) {
        self.expect(" ");
        if !self.takes("NIL") {
            self.expect("(");
            self.string();
            self.expect(" ");
            self.params();
            self.expect(")");
        }
        self.expect(" ");
        if !self.takes("NIL") {
            self.expect("(");
            self.string();
            while !self.takes(")") {
                self.expect(" ");
                self.string();
            }
        }
        self.expect(" ");
        self.nstring();
    }
}

/// How the invented text begins; a real part may look the same, and then counts for it.
const INVENTED: &[u8] = b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0";
