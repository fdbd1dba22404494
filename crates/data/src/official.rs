//! The folders and CSV tables that GTSRB's own archives unpack to.
//!
//! ```text
//! GTSRB/Final_Training/Images/00000/GT-00000.csv, 00000_00000.ppm, ...    (or GTSRB/Training/...)
//! GTSRB/Final_Test/Images/00000.ppm, ...
//! GT-final_test.csv
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use bezoar_core::{Error, Result, Sample};

use crate::raw::{Layout, Raw, RawSplit, list_folder, name};

/// Where the training images may be, under the folder or its folder `GTSRB`.
const TRAINING: [&str; 2] = ["Final_Training/Images", "Training"];

/// Where the test images are, under the folder or its folder `GTSRB`.
const TEST: &str = "Final_Test/Images";

/// The table of the test images' classes, beside or above them.
const TEST_TABLE: &str = "GT-final_test.csv";

/// The classes' folders, if this is GTSRB's own layout.
fn training_folder(root: &Path) -> Option<PathBuf> {
    bases(root).iter().flat_map(|base| TRAINING.map(|folder| base.join(folder))).find(|folder| folder.join("00000").is_dir())
}

fn bases(root: &Path) -> [PathBuf; 2] {
    [root.join("GTSRB"), root.to_owned()]
}

/// Whether a folder is laid out like this.
pub(crate) fn is_there(root: &Path) -> bool {
    training_folder(root).is_some()
}

/// Lists the images under `root`. Classes are called by the numbers of their folders.
pub(crate) fn open(root: &Path) -> Result<Raw> {
    let training = training_folder(root).ok_or_else(|| Error::data(root.display(), "there is no folder of training images"))?;
    let (mut files, mut classes, mut train) = (Vec::new(), Vec::new(), Vec::new());
    for folder in list_folder(&training)?.into_iter().filter(|path| path.is_dir()) {
        let class = name(&folder);
        let table = folder.join(format!("GT-{class}.csv"));
        let number: u32 = class.parse().map_err(|_| Error::data(folder.display(), "folders of classes are called by their numbers"))?;
        if number as usize != classes.len() {
            return Err(Error::data(training.display(), format!("there is no folder of class {}", classes.len())));
        }
        for (file, label) in annotations(&table)? {
            if label != number {
                return Err(Error::data(table.display(), format!("{file} is of class {label} in the folder of class {number}")));
            }
            train.push(image(folder.join(&file), format!("train/{class}/{file}"), label));
        }
        classes.push(class);
        files.push(table);
    }
    let mut test = None;
    if let Some(folder) = bases(root).map(|base| base.join(TEST)).into_iter().find(|folder| folder.is_dir()) {
        let table = [root.to_owned(), folder.clone()]
            .into_iter()
            .chain(bases(root))
            .map(|place| place.join(TEST_TABLE))
            .find(|table| table.is_file());
        let table = table.ok_or_else(|| {
            Error::data(folder.display(), format!("the table of the test images' classes, {TEST_TABLE}, is missing"))
                .with_help(format!("put it into {}; it comes in GTSRB_Final_Test_GT.zip", root.display()))
        })?;
        let images = annotations(&table)?.into_iter().map(|(file, label)| {
            if label as usize >= classes.len() {
                return Err(Error::data(table.display(), format!("{file} is of class {label} of {}", classes.len())));
            }
            Ok(image(folder.join(&file), format!("test/{file}"), label))
        });
        test = Some(images.collect::<Result<Vec<_>>>()?);
        files.push(table);
    }
    files.extend(train.iter().chain(test.iter().flatten()).map(|(path, _)| path.clone()).filter(|path| path.is_file()));
    let (train, test) = (RawSplit::of_files(train), test.map(RawSplit::of_files));
    Ok(Raw { layout: Layout::Gtsrb, root: root.to_owned(), files, classes, train, validation: None, test, left_out: Vec::new() })
}

fn image(path: PathBuf, id: String, label: u32) -> (PathBuf, Sample) {
    let place = path.display().to_string();
    (path, Sample { id, label, path: place })
}

/// The physical sign that a training image shows: its class, and the number before the underscore in its file's name.
/// Thirty images in a row are frames of one approach to one sign.
pub(crate) fn physical_sign(sample: &Sample) -> String {
    sample.id.rsplit_once('_').map_or(sample.id.as_str(), |(sign, _)| sign).to_owned()
}

/// Files and classes of a table: `Filename;...;ClassId`.
fn annotations(path: &Path) -> Result<Vec<(String, u32)>> {
    let text = fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
    let mut lines = text.lines().enumerate();
    let columns: Vec<_> = lines.next().map_or_else(Vec::new, |(_, head)| head.trim().split(';').collect());
    let find = |column| {
        let missing = || Error::data(path.display(), format!("the first line names no column {column}; columns stand between semicolons"));
        columns.iter().position(|name| *name == column).ok_or_else(missing)
    };
    let (file, class) = (find("Filename")?, find("ClassId")?);
    let mut rows = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<_> = line.trim().split(';').collect();
        let broken = |problem| Error::data(format!("{} line {}", path.display(), number + 1), problem);
        let file = *fields.get(file).ok_or_else(|| broken("there is no file name"))?;
        if file.is_empty() || file.contains(['/', '\\']) || file.starts_with('.') {
            return Err(broken("this is no name of a file"));
        }
        let class = fields.get(class).and_then(|class| class.parse().ok()).ok_or_else(|| broken("there is no class number"))?;
        rows.push((file.to_owned(), class));
    }
    Ok(rows)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Write;

    use image::ImageFormat;

    use super::*;
    use crate::decode::tests::encoded;

    const HEAD: &str = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n";

    /// A tiny tree like that of the archives: `classes` classes of `signs` signs in 3 images each, 2 test images a class.
    pub(crate) fn tree(root: &Path, classes: u32, signs: u32) {
        let ppm = |width| encoded(ImageFormat::Pnm, width, 17);
        for class in 0..classes {
            let folder = root.join(format!("GTSRB/Final_Training/Images/{class:05}"));
            fs::create_dir_all(&folder).unwrap();
            let mut table = HEAD.to_owned();
            for (sign, shot) in (0..signs).flat_map(|sign| (0..3).map(move |shot| (sign, shot))) {
                let file = format!("{sign:05}_{shot:05}.ppm");
                fs::write(folder.join(&file), ppm(15 + sign)).unwrap();
                write!(table, "{file};{};17;5;5;10;12;{class}\r\n", 15 + sign).unwrap();
            }
            fs::write(folder.join(format!("GT-{class:05}.csv")), table).unwrap();
        }
        let folder = root.join("GTSRB/Final_Test/Images");
        fs::create_dir_all(&folder).unwrap();
        let mut table = HEAD.to_owned();
        for i in 0..2 * classes {
            fs::write(folder.join(format!("{i:05}.ppm")), ppm(20)).unwrap();
            writeln!(table, "{i:05}.ppm;20;17;5;5;15;12;{}", (i * 5) % classes).unwrap();
        }
        fs::write(folder.join("GT-final_test.test.csv"), "Filename;Width;Height\n").unwrap();
        fs::write(root.join(TEST_TABLE), table).unwrap();
    }

    #[test]
    fn tables_are_read_and_their_mistakes_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("table.csv");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            annotations(&path)
        };
        assert_eq!(read(&format!("{HEAD}a.ppm;1;1;1;1;1;1;7\r\n\n")).unwrap(), [("a.ppm".to_owned(), 7)]);
        for (text, problem) in [
            ("", "no column Filename"),
            ("Filename,ClassId\n", "no column Filename"),
            ("Filename;Width\n", "no column ClassId"),
            ("Filename;ClassId\na.ppm\n", "line 2: there is no class number"),
            ("Filename;ClassId\na.ppm;x\n", "line 2: there is no class number"),
            ("Filename;ClassId\n../../etc/passwd;1\n", "no name of a file"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn trees_with_holes_are_refused() {
        let root = tempfile::tempdir().unwrap();
        tree(root.path(), 3, 1);
        assert!(is_there(root.path()));
        assert_eq!(open(root.path()).unwrap().classes, ["00000", "00001", "00002"]);
        let refused = |problem: &str| {
            let error = open(root.path()).err().unwrap().to_string();
            assert!(error.contains(problem), "{error}");
        };
        let classes = root.path().join("GTSRB/Final_Training/Images");
        fs::write(classes.join("00001/GT-00001.csv"), format!("{HEAD}a.ppm;1;1;1;1;1;1;2\n")).unwrap();
        refused("a.ppm is of class 2 in the folder of class 1");
        fs::remove_file(classes.join("00001/GT-00001.csv")).unwrap();
        refused("GT-00001.csv");
        fs::remove_dir_all(classes.join("00001")).unwrap();
        refused("no folder of class 1");
        fs::remove_dir_all(classes.join("00002")).unwrap();
        refused("is of class 2 of 1");
        fs::remove_file(root.path().join(TEST_TABLE)).unwrap();
        refused("GT-final_test.csv, is missing");
    }
}
