//! The two clocks of a session: time passes, and the journal becomes durable.

/// A moment, in milliseconds of a clock that never goes back; where it starts is of no matter.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Time(pub u64);

impl Time {
    /// The moment `millis` later.
    #[must_use]
    pub const fn after(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// How far the store's journal must be durable before a reply may leave; [`Position::NONE`] waits for nothing.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position(pub u64);

impl Position {
    /// Durable from the start.
    pub const NONE: Self = Self(0);
}
