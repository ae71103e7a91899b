//! Whether the contents that messages need are there and are what their names say.

use crate::store::account::Home;
use crate::store::error::StoreError;
use crate::store::store::Store;
use dbox_format::attachment::{CutOut, Hash, Hasher};
use runtime_smol::fs::Open;
use std::collections::BTreeMap;
use std::io::ErrorKind;

/// Bytes that are read in one step.
const STEP: usize = 64 << 10;

/// What was found out of contents: what is wrong with each, if anything. None is read twice.
pub(crate) type VerifiedContents = BTreeMap<Hash, Option<String>>;

impl Store {
    /// What is wrong with the contents of a message, if anything: the first that is damaged, and why.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn verify_contents(
        &self,
        home: &Home,
        list: &[CutOut],
        verified: &mut VerifiedContents,
    ) -> Result<Option<(Hash, String)>, StoreError> {
        for part in list {
            let why = match verified.get(&part.hash) {
                Some(known) => known.clone(),
                None => {
                    let why = self.verify_content(home, part)?;
                    verified.insert(part.hash, why.clone());
                    why
                }
            };
            if let Some(why) = why {
                return Ok(Some((part.hash, why)));
            }
        }
        Ok(None)
    }

    fn verify_content(&self, home: &Home, part: &CutOut) -> Result<Option<String>, StoreError> {
        let path = home.attachment_path(&part.hash);
        let failed = |error| StoreError::io("read", &path, error);
        let file = match self.files.fs().open(&path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Some("it is missing".to_owned()));
            }
            Err(error) => return Err(failed(error)),
        };
        let len = file.len().map_err(failed)?;
        if len != part.len {
            return Ok(Some(format!("it has {len} bytes, the map says {}", part.len)));
        }
        let mut hasher = Hasher::new();
        let mut step = vec![0; STEP];
        loop {
            let read = file.read_at(&mut step, hasher.len()).map_err(failed)?;
            if read == 0 {
                break;
            }
            hasher.update(step.get(..read).unwrap_or_default());
        }
        let same = hasher.hash() == part.hash;
        Ok((!same).then(|| "its content is not the one that its name says".to_owned()))
    }
}
