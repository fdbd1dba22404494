use std::fs;
use std::path::{Path, PathBuf};

use bezoar_core::{Error, Result};
use rayon::prelude::*;

use super::{Encoded, Writer};

/// A folder a class.
pub(super) struct Files {
    root: PathBuf,
}

impl Files {
    pub(super) fn new(root: &Path, split: &str, classes: &[String]) -> Result<Self> {
        for class in classes {
            let folder = root.join(split).join(class);
            fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
        }
        Ok(Self { root: root.to_owned() })
    }
}

impl Writer for Files {
    fn put(&mut self, images: Vec<Encoded>) -> Result<()> {
        images.par_iter().try_for_each(|image| {
            let path = self.root.join(&image.file);
            fs::write(&path, &image.png).map_err(|error| Error::io(&path, error))
        })
    }

    fn end(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
