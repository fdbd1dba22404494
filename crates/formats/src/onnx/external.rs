//! Tensors whose data lies in other files beside the model's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Where a tensor's data lies.
#[derive(Default)]
pub(super) struct Location {
    pub(super) file: String,
    pub(super) offset: u64,
    pub(super) length: Option<u64>,
}

/// The folder of a model, from which tensors may take their data, each byte once: that bounds the memory by the files' sizes.
pub(super) struct Folder<'a> {
    path: Option<&'a Path>,
    open: BTreeMap<PathBuf, Open>,
}

struct Open {
    file: File,
    size: u64,
    unread: u64,
}

impl<'a> Folder<'a> {
    /// A model without a folder has no external data.
    pub(super) const fn new(path: Option<&'a Path>) -> Self {
        Self { path, open: BTreeMap::new() }
    }

    /// The `bytes` bytes at a location, or what is wrong with it.
    pub(super) fn read(&mut self, Location { file, offset, length }: &Location, bytes: usize) -> Result<Vec<u8>, String> {
        let refuse = |problem: String| format!("its data in `{}`: {problem}", file.escape_debug());
        let wanted = bytes as u64;
        if length.is_some_and(|length| length != wanted) {
            return Err(refuse(format!("{} bytes where {wanted} are due", length.unwrap_or_default())));
        }
        let path = self.resolve(file).map_err(refuse)?;
        let open = match self.open.entry(path) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let open = Open::new(entry.key()).map_err(|error| refuse(error.to_string()))?;
                entry.insert(open)
            }
        };
        open.read(*offset, wanted).map_err(refuse)
    }

    /// The file that a model calls so, which must lie in its folder: a model from elsewhere could have other files read.
    fn resolve(&self, file: &str) -> Result<PathBuf, String> {
        let folder = self.path.ok_or("there is no folder to look in")?;
        let relative = Path::new(file);
        let stays = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if file.is_empty() || !stays {
            return Err("the path leads outside the model's folder".into());
        }
        let real = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
        let (folder, path) = (real(folder)?, real(&folder.join(relative))?);
        if path.starts_with(&folder) { Ok(path) } else { Err("a link leads outside the model's folder".into()) }
    }
}

impl Open {
    fn new(path: &Path) -> std::io::Result<Self> {
        // Asked before it is opened: opening a named pipe waits for a writer.
        let metadata = path.metadata()?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is no file"));
        }
        Ok(Self { file: File::open(path)?, size: metadata.len(), unread: metadata.len() })
    }

    fn read(&mut self, offset: u64, wanted: u64) -> Result<Vec<u8>, String> {
        if offset.checked_add(wanted).is_none_or(|end| end > self.size) {
            return Err(format!("{wanted} bytes from {offset} end behind its {} bytes", self.size));
        }
        self.unread = self.unread.checked_sub(wanted).ok_or("tensors overlap there")?;
        let mut bytes = Vec::with_capacity(wanted as usize);
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| (&self.file).take(wanted).read_to_end(&mut bytes));
        read.map_err(|error| error.to_string())?;
        if bytes.len() as u64 == wanted { Ok(bytes) } else { Err("it became shorter meanwhile".into()) }
    }
}
