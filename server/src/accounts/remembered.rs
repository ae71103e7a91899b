//! Log-ins that were right a while ago: clients that connect again and again cost no hash.
//!
//! What is kept is an HMAC of account, password and stored hash under a key made at start: it is of no use to whoever
//! reads it, and ends by itself when the stored hash is another one.

use super::AccountName;
use super::password::Stored;
use hmac::{Hmac, KeyInit as _, Mac as _};
use runtime_smol::Time;
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// At most one log-in for each account.
pub(super) struct Remembered {
    key: [u8; 32],
    logins: Mutex<HashMap<AccountName, Login>>,
}

struct Login {
    code: [u8; 32],
    until: Time,
}

impl Remembered {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the kernel has random numbers for everyone");
        Self { key, logins: Mutex::default() }
    }

    /// Remembers that this was right, for `how_long`.
    pub(super) fn add(
        &self,
        name: &AccountName,
        password: &[u8],
        stored: &Stored,
        now: Time,
        how_long: Duration,
    ) {
        if how_long.is_zero() {
            return;
        }
        let code = self.mac(name, password, stored).finalize().into_bytes().into();
        self.logins().insert(name.clone(), Login { code, until: now.after(how_long) });
    }

    /// Whether exactly this was right a while ago.
    pub(super) fn knows(
        &self,
        name: &AccountName,
        password: &[u8],
        stored: &Stored,
        now: Time,
    ) -> bool {
        let mut logins = self.logins();
        let Some(login) = logins.get(name) else { return false };
        if login.until <= now {
            logins.remove(name);
            return false;
        }
        let code = login.code;
        drop(logins);
        // Compares in constant time.
        self.mac(name, password, stored).verify_slice(&code).is_ok()
    }

    pub(super) fn forget(&self, name: &AccountName) {
        self.logins().remove(name);
    }

    /// A number below `below` that stays the same for this name until the next start, and that nobody can foretell.
    pub(super) fn place_of(&self, user: &[u8], below: usize) -> usize {
        let mut mac = self.keyed();
        mac.update(b"place");
        mac.update(user);
        let code: [u8; 32] = mac.finalize().into_bytes().into();
        let first = code.first_chunk().copied().unwrap_or_default();
        let below = u64::try_from(below.max(1)).unwrap_or(u64::MAX);
        usize::try_from(u64::from_le_bytes(first) % below).unwrap_or_default()
    }

    fn mac(&self, name: &AccountName, password: &[u8], stored: &Stored) -> Hmac<Sha256> {
        let mut mac = self.keyed();
        mac.update(b"login");
        // Each with its length: no two triples are the same bytes.
        for part in [name.as_str().as_bytes(), password, stored.text().as_bytes()] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }

    fn keyed(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.key).expect("HMAC takes keys of any length")
    }

    fn logins(&self) -> MutexGuard<'_, HashMap<AccountName, Login>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
