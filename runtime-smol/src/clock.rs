//! The one place that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment on the monotonic clock: milliseconds since the [`Clock`] was made. Only differences mean anything.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Time(pub u64);

impl Time {
    /// The moment `duration` later, rounded up to whole milliseconds.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// Reads the time. Copies tell the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "reading the time is no default")]
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// The monotonic time.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Time {
        let elapsed = Instant::now().saturating_duration_since(self.start).as_millis();
        Time(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// Microseconds on the machine's own monotonic clock, by which programs understand each other
    /// (`CLOCK_MONOTONIC`).
    #[must_use]
    pub fn boot_micros(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let part = |n: i64| u64::try_from(n).unwrap_or(0);
        part(now.tv_sec) * 1_000_000 + part(now.tv_nsec) / 1000
    }

    /// Seconds since 1970, as the machine believes; it may jump.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn wall(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}
