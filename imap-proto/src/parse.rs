//! The grammar of commands (RFC 3501 §9, RFC 9051 §9): a cursor over one whole command.

/// ATOM-CHAR (RFC 3501 §9): no CTL, SP, `(`, `)`, `{`, `%`, `*`, `"`, `\`, `]`, and nothing above ASCII.
pub(crate) const fn is_atom(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
        && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}
