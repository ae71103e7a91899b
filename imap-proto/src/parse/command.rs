//! Which command a line is, and when it is allowed.

use super::Cursor;

/// A command's name; `Uid…` are those with UID before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Append,
    Authenticate,
    CancelUpdate,
    Capability,
    Check,
    Close,
    Copy,
    Create,
    Delete,
    Enable,
    Examine,
    Expunge,
    Fetch,
    Id,
    Idle,
    List,
    Login,
    Logout,
    Lsub,
    Move,
    Namespace,
    Noop,
    Rename,
    Search,
    Select,
    Sort,
    StartTls,
    Status,
    Store,
    Subscribe,
    Thread,
    Unselect,
    Unsubscribe,
    UidCopy,
    UidExpunge,
    UidFetch,
    UidMove,
    UidSearch,
    UidSort,
    UidStore,
    UidThread,
}

/// The states in which a command is allowed (RFC 3501 §6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Needs {
    /// Any state.
    Nothing,
    /// Not authenticated.
    Guest,
    /// Authenticated or selected.
    User,
    /// Selected.
    Mailbox,
}

impl Verb {
    /// Reads a command's name, with UID before it where there may be one.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Option<Self> {
        let verb = Self::of(cursor.run(|byte| byte.is_ascii_alphabetic()));
        match verb {
            Some(None) => {
                cursor.space().ok()?;
                let verb = Self::of(cursor.run(|byte| byte.is_ascii_alphabetic()))??;
                let with_uid = [
                    (Self::Copy, Self::UidCopy),
                    (Self::Expunge, Self::UidExpunge),
                    (Self::Fetch, Self::UidFetch),
                    (Self::Move, Self::UidMove),
                    (Self::Search, Self::UidSearch),
                    (Self::Sort, Self::UidSort),
                    (Self::Store, Self::UidStore),
                    (Self::Thread, Self::UidThread),
                ];
                with_uid.into_iter().find(|(plain, _)| *plain == verb).map(|(_, uid)| uid)
            }
            Some(verb) => verb,
            None => None,
        }
    }

    /// The command of this name; `Some(None)` is UID.
    fn of(name: &[u8]) -> Option<Option<Self>> {
        let mut upper = [0; 16];
        let upper = upper.get_mut(..name.len())?;
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        Some(Some(match &*upper {
            b"UID" => return Some(None),
            b"APPEND" => Self::Append,
            b"AUTHENTICATE" => Self::Authenticate,
            b"CANCELUPDATE" => Self::CancelUpdate,
            b"CAPABILITY" => Self::Capability,
            b"CHECK" => Self::Check,
            b"CLOSE" => Self::Close,
            b"COPY" => Self::Copy,
            b"CREATE" => Self::Create,
            b"DELETE" => Self::Delete,
            b"ENABLE" => Self::Enable,
            b"EXAMINE" => Self::Examine,
            b"EXPUNGE" => Self::Expunge,
            b"FETCH" => Self::Fetch,
            b"ID" => Self::Id,
            b"IDLE" => Self::Idle,
            b"LIST" => Self::List,
            b"LOGIN" => Self::Login,
            b"LOGOUT" => Self::Logout,
            b"LSUB" => Self::Lsub,
            b"MOVE" => Self::Move,
            b"NAMESPACE" => Self::Namespace,
            b"NOOP" => Self::Noop,
            b"RENAME" => Self::Rename,
            b"SEARCH" => Self::Search,
            b"SELECT" => Self::Select,
            b"SORT" => Self::Sort,
            b"STARTTLS" => Self::StartTls,
            b"STATUS" => Self::Status,
            b"STORE" => Self::Store,
            b"SUBSCRIBE" => Self::Subscribe,
            b"THREAD" => Self::Thread,
            b"UNSELECT" => Self::Unselect,
            b"UNSUBSCRIBE" => Self::Unsubscribe,
            _ => return None,
        }))
    }

    /// When it is allowed.
    pub(crate) fn needs(self) -> Needs {
        match self {
            Self::Capability | Self::Id | Self::Logout | Self::Noop => Needs::Nothing,
            Self::Authenticate | Self::Login | Self::StartTls => Needs::Guest,
            Self::Append
            | Self::Create
            | Self::Delete
            | Self::Enable
            | Self::Examine
            | Self::Idle
            | Self::List
            | Self::Lsub
            | Self::Namespace
            | Self::Rename
            | Self::Select
            | Self::Status
            | Self::Subscribe
            | Self::Unsubscribe => Needs::User,
            Self::CancelUpdate
            | Self::Check
            | Self::Close
            | Self::Copy
            | Self::Expunge
            | Self::Fetch
            | Self::Move
            | Self::Search
            | Self::Sort
            | Self::Store
            | Self::Thread
            | Self::Unselect
            | Self::UidCopy
            | Self::UidExpunge
            | Self::UidFetch
            | Self::UidMove
            | Self::UidSearch
            | Self::UidSort
            | Self::UidStore
            | Self::UidThread => Needs::Mailbox,
        }
    }

    /// Whether EXPUNGE may be told when it ends (RFC 3501 §7.4.1: not during FETCH, STORE and SEARCH, RFC 5256 §3: nor
    /// during SORT and THREAD, for the client may have sent more of them; their UID forms mind nothing).
    pub(crate) fn may_shrink(self) -> bool {
        !matches!(self, Self::Fetch | Self::Store | Self::Search | Self::Sort | Self::Thread)
    }
}

/// Whether the literal at the end of this line is a message: APPEND, and its mailbox name is complete.
pub(crate) fn wants_message(line: &[u8]) -> bool {
    let mut cursor = Cursor::new(line);
    let tag = cursor.run(|byte| byte != b' ');
    !tag.is_empty()
        && cursor.skip(b" APPEND ")
        && cursor.astring().is_ok()
        && cursor.space().is_ok()
}
