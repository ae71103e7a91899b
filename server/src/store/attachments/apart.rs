//! Reading a message whose parts stand apart: any range of it is made of ranges of its skeleton and of its contents.

use crate::store::account::Home;
use crate::store::error::StoreError;
use crate::store::files::Files;
use crate::store::message::{ReadError, read_error, read_exact};
use dbox_format::attachment::{Assembly, AssemblyError, CutOut, Hash, Source};
use dbox_format::map::Extra;
use dbox_format::paths;
use runtime_smol::fs::{File, Open};
use std::fmt::Display;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a message is put together.
#[derive(Clone)]
pub(crate) struct Apart(Arc<Result<Assembly, AssemblyError>>);

/// What reads the skeleton: appends the bytes of a range.
pub(crate) type Skeleton<'a> = dyn FnMut(Range<u64>, &mut Vec<u8>) -> Result<(), ReadError> + 'a;

impl Apart {
    /// Of a message of `size` bytes; `None` if it is stored whole.
    pub(crate) fn of(extra: &Extra, size: u64) -> Option<Self> {
        // The map was checked when it was read.
        let list = extra.attachments().ok().filter(|list| !list.is_empty())?;
        Some(Self(Arc::new(Assembly::new(&list, size))))
    }

    /// Bytes of the skeleton.
    pub(crate) fn skeleton_len(&self) -> u64 {
        (*self.0).as_ref().map_or(0, Assembly::skeleton_len)
    }

    /// The parts that stand apart.
    ///
    /// # Errors
    /// Why they make no message of this size.
    pub(crate) fn list(&self) -> Result<&[CutOut], &AssemblyError> {
        (*self.0).as_ref().map(Assembly::list)
    }

    /// The first base64 from `at` on that is made of a content, and how many line ends are in it.
    pub(crate) fn next_text(&self, at: u64) -> Option<(Range<u64>, u64)> {
        let assembly = (*self.0).as_ref().ok()?;
        let texts = assembly.texts().zip(assembly.list());
        let mut ahead = texts.filter(|(text, _)| text.start >= at && !text.is_empty());
        ahead.next().map(|(text, part)| (text, part.line_ends()))
    }

    fn assembly(&self, home: &Home) -> Result<&Assembly, ReadError> {
        (*self.0).as_ref().map_err(|error| damaged(&home.dir.join("map.log"), error))
    }

    /// The message whole, of its whole skeleton; each content is held against its hash.
    pub(crate) fn whole(
        &self,
        (files, home): (&Files, &Home),
        skeleton: &[u8],
        wait: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let assembly = self.assembly(home)?;
        let mut contents = Contents::new(files, home, wait);
        // The content that is in memory.
        let mut held = None;
        for source in assembly.sources(0..assembly.len()) {
            match &source {
                Source::Skeleton(range) => out.extend_from_slice(slice(skeleton, range)),
                Source::Attachment { index, content, .. } => {
                    let Some(part) = assembly.list().get(*index) else { continue };
                    if held != Some(*index) {
                        contents.read(part, 0..part.len)?;
                        contents.check(part)?;
                        held = Some(*index);
                    }
                    assembly
                        .encode(&source, slice(&contents.bytes, content), out)
                        .map_err(|error| damaged(&home.attachment_path(&part.hash), &error))?;
                }
            }
        }
        Ok(())
    }

    /// Appends the bytes of `range`, reading no others of the contents but those of whole groups of base64.
    pub(crate) fn range(
        &self,
        (files, home): (&Files, &Home),
        range: Range<u64>,
        wait: bool,
        skeleton: &mut Skeleton<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let assembly = self.assembly(home)?;
        let mut contents = Contents::new(files, home, wait);
        for source in assembly.sources(range) {
            match &source {
                Source::Skeleton(range) => skeleton(range.clone(), out)?,
                Source::Attachment { index, content, .. } => {
                    let Some(part) = assembly.list().get(*index) else { continue };
                    contents.read(part, content.clone())?;
                    assembly
                        .encode(&source, &contents.bytes, out)
                        .map_err(|error| damaged(&home.attachment_path(&part.hash), &error))?;
                }
            }
        }
        Ok(())
    }
}

fn slice<'a>(bytes: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(at(range.start)..at(range.end)).unwrap_or_default()
}

/// The contents of a message while they are read.
struct Contents<'a> {
    files: &'a Files,
    home: &'a Home,
    wait: bool,
    /// The one that was looked at last.
    open: Option<(Hash, PathBuf, Arc<dyn File>)>,
    bytes: Vec<u8>,
}

impl<'a> Contents<'a> {
    fn new(files: &'a Files, home: &'a Home, wait: bool) -> Self {
        Self { files, home, wait, open: None, bytes: Vec::new() }
    }

    /// Reads these bytes of a content.
    fn read(&mut self, part: &CutOut, range: Range<u64>) -> Result<(), ReadError> {
        let (path, file) = self.file(part)?;
        let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        self.bytes.resize(len, 0);
        let read = read_exact(&*file, &mut self.bytes, range.start, self.wait);
        read.map_err(|error| read_error(&path, error))
    }

    /// Holds a content that was read against its hash.
    fn check(&self, part: &CutOut) -> Result<(), ReadError> {
        if Hash::of(&self.bytes) == part.hash {
            return Ok(());
        }
        let path = self.home.attachment_path(&part.hash);
        Err(damaged(&path, &"its content is not the one that its name says"))
    }

    /// A content's file, which has the right length.
    fn file(&mut self, part: &CutOut) -> Result<(PathBuf, Arc<dyn File>), ReadError> {
        if let Some((hash, path, file)) = &self.open
            && *hash == part.hash
        {
            return Ok((path.clone(), file.clone()));
        }
        let path = self.home.attachment_path(&part.hash);
        let file = self.files.get(&path, Open::Read).map_err(|error| {
            if let StoreError::Io { source, .. } = &error
                && source.kind() == ErrorKind::NotFound
            {
                return damaged(&path, &"this attachment is missing");
            }
            ReadError::Store(error)
        })?;
        let len = file
            .len()
            .map_err(|error| ReadError::Store(StoreError::io("look at", &path, error)))?;
        if len != part.len {
            let why = format_args!("this attachment has {len} bytes, the map says {}", part.len);
            return Err(damaged(&path, &why));
        }
        self.open = Some((part.hash, path.clone(), file.clone()));
        Ok((path, file))
    }
}

impl Home {
    /// The account's own link to a content.
    pub(crate) fn attachment_path(&self, hash: &Hash) -> PathBuf {
        self.dir.join(paths::attachment_link(hash))
    }
}

fn damaged(path: &Path, why: &dyn Display) -> ReadError {
    ReadError::Store(StoreError::damaged(path, why))
}
