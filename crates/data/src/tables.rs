//! Encoded images in Parquet tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Context, Dataset, Error, Plugin, Result, Sample, Splits, register};
use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::load::{OnError, Options, default_size, load};
use crate::raw::{Encoded, Entry, Layout, Raw, RawSplit, Shares, Store, default_test_share, default_validation_share, list_folder, name};
use crate::selection::{Kept, Selection};

/// Images that are read between two looks at whether the user wants to stop.
const CHUNK: usize = 512;

/// Encoded images in Parquet tables, as the Hugging Face hub keeps them.
///
/// Each table has an image column (a struct of `bytes` and, if it likes, `path`; or plain bytes) and a label column of
/// whole numbers. Names of classes come from the table's metadata, under the key `huggingface`; without them classes are
/// called by their numbers.
///
/// Splits that are missing are split off the training images, by class and by chance; only what remains is trained on and
/// scanned for poison. `validation-share: 0` and `test-share: 0` hold out none; accuracy is then not measured.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Parquet {
    /// The folder that holds the tables, or whose folder `data` does.
    pub root: PathBuf,
    /// Which files hold training images; `*` stands for any characters.
    #[serde(default = "default_train")]
    pub train: String,
    /// Which files hold validation images.
    #[serde(default = "default_validation")]
    pub validation: String,
    /// Which files hold test images.
    #[serde(default = "default_test")]
    pub test: String,
    /// The column of images.
    #[serde(default = "default_image_column")]
    pub image_column: String,
    /// The column of labels.
    #[serde(default = "default_label_column")]
    pub label_column: String,
    /// The classes to keep, names or indices; all if not given. Kept classes are numbered anew from 0, in the data set's order.
    #[serde(default)]
    pub classes: Option<Selection>,
    /// Height and width that all images are brought to, in pixels.
    #[serde(default = "default_size")]
    #[schemars(range(min = 8, max = 1024))]
    pub size: usize,
    /// Share of the images that become the validation split if there is none; 0 for no validation.
    #[serde(default = "default_validation_share")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub validation_share: f64,
    /// Share of the images that become the test split if there is none; 0 for no test images.
    #[serde(default = "default_test_share")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub test_share: f64,
    /// At most so many images of each class and split, drawn by chance; for trials.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<usize>,
    /// Whether an image that cannot be read stops the run or is left out and listed.
    #[serde(default)]
    pub on_error: OnError,
}

fn default_train() -> String {
    "train*.parquet".to_owned()
}

fn default_validation() -> String {
    "validation*.parquet".to_owned()
}

fn default_test() -> String {
    "test*.parquet".to_owned()
}

fn default_image_column() -> String {
    "image".to_owned()
}

fn default_label_column() -> String {
    "label".to_owned()
}

impl Parquet {
    /// The tables in `root`, everything else as it is by default.
    fn new(root: PathBuf) -> Self {
        Self {
            root,
            train: default_train(),
            validation: default_validation(),
            test: default_test(),
            image_column: default_image_column(),
            label_column: default_label_column(),
            classes: None,
            size: default_size(),
            validation_share: default_validation_share(),
            test_share: default_test_share(),
            limit: None,
            on_error: OnError::default(),
        }
    }

    /// The rows of one table that is made as usual.
    pub(crate) fn rows(root: &Path, split: &str, table: PathBuf) -> Result<RawSplit> {
        Ok(Self::new(root.to_owned()).split(split, vec![table])?.0)
    }

    fn open(&self) -> Result<Raw> {
        let mut paths = list_folder(&self.root)?;
        let data = self.root.join("data");
        if data.is_dir() {
            paths.extend(list_folder(&data)?);
        }
        let matching = |pattern: &str| paths.iter().filter(|path| matches(pattern, &name(path))).cloned().collect::<Vec<_>>();
        let [train, validation, test] = [&self.train, &self.validation, &self.test].map(|pattern| matching(pattern));
        if train.is_empty() {
            return Err(Error::data(self.root.display(), format!("no file is called `{}`", self.train))
                .with_help("say which files hold the training images by `train:`"));
        }
        let files = [train.clone(), validation.clone(), test.clone()].concat();
        let (train, mut classes) = self.split("train", train)?;
        let mut optional = |name, paths: Vec<_>| {
            if paths.is_empty() {
                return Ok(None);
            }
            let (split, others) = self.split(name, paths)?;
            if others.names != classes.names {
                return Err(Error::data(self.root.display(), format!("the {name} tables name other classes than the training tables")));
            }
            classes.count = classes.count.max(others.count);
            Ok(Some(split))
        };
        let (validation, test) = (optional("validation", validation)?, optional("test", test)?);
        Ok(Raw {
            layout: Layout::Parquet,
            root: self.root.clone(),
            files,
            classes: classes.into_names(),
            train,
            validation,
            test,
            left_out: Vec::new(),
        })
    }

    /// Lists the images of a split; reads all but the images themselves.
    fn split(&self, split: &str, paths: Vec<PathBuf>) -> Result<(RawSplit, Classes)> {
        let mut tables = Vec::new();
        let mut entries = Vec::new();
        let mut classes: Option<Classes> = None;
        let mut ids = BTreeSet::new();
        for path in paths {
            let table = Table::open(path, &self.image_column, &self.label_column)?;
            let names = table.class_names(&self.label_column)?;
            let classes = classes.get_or_insert_with(|| Classes { names: names.clone(), count: 0 });
            if names != classes.names {
                return Err(table.broken("it names other classes than the tables before it"));
            }
            let (labels, mut files) = (table.labels()?, table.paths()?.into_iter().flatten());
            let rows = labels.len();
            for (row, label) in labels.into_iter().enumerate() {
                let place = format!("{} row {row}", table.path.display());
                let known = names.as_ref().map_or(usize::from(u16::MAX), Vec::len);
                let label = label.and_then(|label| u32::try_from(label).ok()).filter(|&label| (label as usize) < known);
                let label = label.ok_or_else(|| Error::data(&place, format!("no label from 0 to {}", known - 1)))?;
                classes.count = classes.count.max(label as usize + 1);
                let mut id = format!("{split}/{}", files.next().flatten().unwrap_or_else(|| format!("{}#{row}", name(&table.path))));
                if !ids.insert(id.clone()) {
                    id = format!("{id}#{}", entries.len());
                    ids.insert(id.clone());
                }
                entries.push(Entry { row: entries.len(), sample: Sample { id, label, path: place } });
            }
            tables.push((table, rows));
        }
        Ok((RawSplit { entries, store: Arc::new(tables) }, classes.unwrap_or(Classes { names: None, count: 0 })))
    }
}

impl Plugin for Parquet {
    type Kind = dyn Dataset;
    const NAME: &'static str = "parquet";

    fn example() -> Self {
        Self { image_column: "img".to_owned(), ..Self::new("cifar10".into()) }
    }

    fn build(self) -> Result<Arc<dyn Dataset>> {
        Ok(Arc::new(self))
    }
}

register!(Parquet);

impl Dataset for Parquet {
    fn fingerprint(&self) -> Result<String> {
        self.open()?.fingerprint()
    }

    fn load(&self, cx: &Context) -> Result<Splits> {
        let raw = self.open()?.complete(cx, Shares { validation: self.validation_share, test: self.test_share });
        let kept = Kept::new(self.classes.as_ref(), &raw.classes, &BTreeMap::new())?;
        load(cx, &raw, &kept, Options { size: self.size, on_error: self.on_error, limit: self.limit })
    }
}

/// Lists the images of tables that are called and made as usual.
pub(crate) fn open(root: &Path) -> Result<Raw> {
    Parquet::new(root.to_owned()).open()
}

/// Whether a folder holds training tables that are called as usual.
pub fn is_there(root: &Path) -> bool {
    let any = |folder: &Path| list_folder(folder).is_ok_and(|paths| paths.iter().any(|path| matches(&default_train(), &name(path))));
    any(root) || any(&root.join("data"))
}

/// What the tables of a split say of the classes.
struct Classes {
    names: Option<Vec<String>>,
    /// One more than the largest label.
    count: usize,
}

impl Classes {
    fn into_names(self) -> Vec<String> {
        self.names.unwrap_or_else(|| (0..self.count).map(|label| label.to_string()).collect())
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => {
            name.strip_prefix(start).is_some_and(|tail| (0..=tail.len()).any(|at| tail.is_char_boundary(at) && matches(rest, &tail[at..])))
        }
    }
}

/// One file.
struct Table {
    path: PathBuf,
    file: SerializedFileReader<File>,
    image: usize,
    image_path: Option<usize>,
    label: usize,
}

impl Table {
    fn open(path: PathBuf, image: &str, label: &str) -> Result<Self> {
        let broken = |problem: &dyn std::fmt::Display| Error::data(path.display(), format!("no usable Parquet table: {problem}"));
        let file = File::open(&path).map_err(|error| Error::io(&path, error))?;
        let bytes = file.metadata().map_err(|error| Error::io(&path, error))?.len();
        let file = guarded(|| SerializedFileReader::new(file)).map_err(|error| broken(&error))?;
        let columns = file.metadata().file_metadata().schema_descr();
        let find = |name: &str, types: &[Type]| {
            let fits = |i: &usize| columns.column(*i).path().string() == name && columns.column(*i).max_rep_level() == 0;
            (0..columns.num_columns()).find(fits).filter(|&i| types.contains(&columns.column(i).physical_type()))
        };
        let names: Vec<_> = columns.columns().iter().map(|column| column.path().string()).collect();
        let missing = |what: &str, option: &str| {
            broken(&format_args!("no column of {what}; its columns are {}", names.join(", ")))
                .with_help(format!("name the column by `{option}:`"))
        };
        let pixels = find(&format!("{image}.bytes"), &[Type::BYTE_ARRAY]).or_else(|| find(image, &[Type::BYTE_ARRAY]));
        let pixels = pixels.ok_or_else(|| missing(&format!("images called `{image}`"), "image-column"))?;
        let image_path = find(&format!("{image}.path"), &[Type::BYTE_ARRAY]);
        let label =
            find(label, &[Type::INT64, Type::INT32]).ok_or_else(|| missing(&format!("whole numbers called `{label}`"), "label-column"))?;
        let within = |chunk: &ColumnChunkMetaData| {
            let start = u64::try_from(chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset()));
            let size = u64::try_from(chunk.compressed_size());
            start.is_ok_and(|start| size.is_ok_and(|size| start.checked_add(size).is_some_and(|end| end <= bytes)))
        };
        if !file.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns).all(within) {
            return Err(broken(&"its metadata points outside the file"));
        }
        Ok(Self { path, image: pixels, image_path, label, file })
    }

    fn broken(&self, problem: impl std::fmt::Display) -> Error {
        Error::data(self.path.display(), problem)
    }

    /// The names of the classes by the metadata, if they are there.
    fn class_names(&self, label: &str) -> Result<Option<Vec<String>>> {
        let Some(pairs) = self.file.metadata().file_metadata().key_value_metadata() else { return Ok(None) };
        let Some(text) = pairs.iter().find(|pair| pair.key == "huggingface").and_then(|pair| pair.value.as_deref()) else {
            return Ok(None);
        };
        let json: serde_json::Value =
            serde_json::from_str(text).map_err(|error| self.broken(format_args!("its metadata `huggingface` is no JSON: {error}")))?;
        let names = &json["info"]["features"][label]["names"];
        if names.is_null() {
            return Ok(None);
        }
        let names: Vec<String> = serde_json::from_value(names.clone())
            .map_err(|_| self.broken("its metadata `huggingface` names classes by something else than text"))?;
        let unique: BTreeSet<_> = names.iter().collect();
        if names.is_empty() || unique.len() < names.len() {
            return Err(self.broken("its metadata `huggingface` has no name for a class, or one for two"));
        }
        Ok(Some(names))
    }

    fn labels(&self) -> Result<Vec<Option<i64>>> {
        let mut labels = Vec::new();
        self.read(self.label, &mut |group| match group {
            ColumnReader::Int64ColumnReader(column) => read_all(column, &mut labels, |&label| label),
            ColumnReader::Int32ColumnReader(column) => read_all(column, &mut labels, |&label| label.into()),
            _ => Err(ParquetError::General("labels of another type".to_owned())),
        })?;
        Ok(labels)
    }

    /// The images' own paths, if the table has a column of them.
    fn paths(&self) -> Result<Option<Vec<Option<String>>>> {
        let Some(column) = self.image_path else { return Ok(None) };
        let mut paths = Vec::new();
        self.read(column, &mut |group| match group {
            ColumnReader::ByteArrayColumnReader(column) => {
                read_all(column, &mut paths, |path: &ByteArray| String::from_utf8_lossy(path.data()).into_owned())
            }
            _ => Err(ParquetError::General("paths of another type".to_owned())),
        })?;
        Ok(Some(paths))
    }

    /// Gives a column to `sink`, row group after row group, and checks that each has all its rows.
    fn read(&self, column: usize, sink: &mut dyn FnMut(ColumnReader) -> Result<usize, ParquetError>) -> Result<()> {
        for group in 0..self.file.num_row_groups() {
            let read = guarded(|| self.file.get_row_group(group)?.get_column_reader(column).and_then(&mut *sink));
            let read = read.map_err(|error| self.broken(error))?;
            if read != rows_of(&self.file, group) {
                return Err(self.broken(format_args!("a column has {read} rows where the table has {}", rows_of(&self.file, group))));
            }
        }
        Ok(())
    }

    /// Gives the images of `rows`, which ascend, to `sink`, some at a time.
    fn images(&self, rows: &[usize], sink: &mut dyn FnMut(Vec<Encoded>) -> Result<()>) -> Result<()> {
        let mut start = 0;
        let mut rest = rows;
        for group in 0..self.file.num_row_groups() {
            let end = start + rows_of(&self.file, group);
            let (here, later) = rest.split_at(rest.partition_point(|&row| row < end));
            rest = later;
            if !here.is_empty() {
                let column =
                    guarded(|| self.file.get_row_group(group)?.get_column_reader(self.image)).map_err(|error| self.broken(error))?;
                let ColumnReader::ByteArrayColumnReader(mut column) = column else { return Err(self.broken("images of another type")) };
                let mut at = start;
                for chunk in here.chunks(CHUNK) {
                    sink(guarded(|| read_some(&mut column, &mut at, chunk)).map_err(|error| self.broken(error))?)?;
                }
            }
            start = end;
        }
        Ok(())
    }
}

/// Parquet's reader checks little of what a file says and panics where a damaged one contradicts itself.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    // What a panic leaves behind is not used again: the error ends the reading of this table.
    std::panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(ParquetError::General("the file is damaged".to_owned())))
}

fn rows_of(file: &SerializedFileReader<File>, group: usize) -> usize {
    usize::try_from(file.metadata().row_group(group).num_rows()).unwrap_or(0)
}

/// Reads a column of a row group to its end; returns the number of its rows.
fn read_all<T: DataType, V>(
    mut column: ColumnReaderImpl<T>,
    out: &mut Vec<Option<V>>,
    convert: impl Fn(&T::T) -> V,
) -> Result<usize, ParquetError> {
    let before = out.len();
    loop {
        let values = read_values(&mut column, CHUNK)?;
        if values.is_empty() {
            return Ok(out.len() - before);
        }
        out.extend(values.iter().map(|value| value.as_ref().map(&convert)));
    }
}

/// Reads the images of `rows` from a row group whose next row is `at`.
fn read_some(column: &mut ColumnReaderImpl<ByteArrayType>, at: &mut usize, rows: &[usize]) -> Result<Vec<Encoded>, ParquetError> {
    let mut images = Vec::with_capacity(rows.len());
    for run in rows.chunk_by(|a, b| a + 1 == *b) {
        let ahead = run[0] - *at;
        let values = if column.skip_records(ahead)? == ahead { read_values(column, run.len())? } else { Vec::new() };
        if values.len() < run.len() {
            return Err(ParquetError::EOF(format!("the images end before row {}", run[values.len()])));
        }
        images.extend(values.iter().map(|value| value.as_ref().map_or(Encoded::Missing, |bytes| Encoded::Bytes(bytes.data().to_vec()))));
        *at = run[0] + run.len();
    }
    Ok(images)
}

/// The next `count` values, or as many as there are; none for nulls.
fn read_values<T: DataType>(column: &mut ColumnReaderImpl<T>, count: usize) -> Result<Vec<Option<T::T>>, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (records, found, _) = column.read_records(count, Some(&mut levels), None, &mut values)?;
    if levels.is_empty() {
        return Ok(values.into_iter().map(Some).collect());
    }
    // The column is optional: a value stands where the level is the highest.
    let highest = levels.iter().copied().max().unwrap_or(0);
    let mut values = values.into_iter();
    let present = |level: &i16| found > 0 && *level == highest;
    Ok(levels[..records].iter().map(|level| if present(level) { values.next() } else { None }).collect())
}

/// Tables with the number of their rows.
impl Store for Vec<(Table, usize)> {
    fn read(&self, rows: &[usize], sink: &mut dyn FnMut(Vec<Encoded>) -> Result<()>) -> Result<()> {
        let (mut start, mut rest) = (0, rows);
        for (table, count) in self {
            let (here, later) = rest.split_at(rest.partition_point(|&row| row < start + count));
            let here: Vec<usize> = here.iter().map(|row| row - start).collect();
            table.images(&here, sink)?;
            (start, rest) = (start + count, later);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use image::ImageFormat;
    use parquet::data_type::Int64Type;
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use proptest::prelude::*;

    use super::*;
    use crate::decode::tests::encoded;

    /// A row: the image's bytes, its path, its label.
    pub(crate) type Row = (Option<Vec<u8>>, Option<&'static str>, i64);

    /// Writes a table as the hub does, two rows a group.
    pub(crate) fn write(path: &Path, metadata: Option<&str>, rows: &[Row]) {
        let schema =
            "message schema { optional group image { optional binary bytes; optional binary path (STRING); } required int64 label; }";
        let pairs = metadata.map(|text| vec![KeyValue::new("huggingface".to_owned(), text.to_owned())]);
        let properties = WriterProperties::builder().set_key_value_metadata(pairs).build();
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::new(properties)).unwrap();
        for rows in rows.chunks(2) {
            let mut group = writer.next_row_group().unwrap();
            let bytes: Vec<_> = rows.iter().map(|row| row.0.clone().map(ByteArray::from)).collect();
            let paths: Vec<_> = rows.iter().map(|row| row.1.map(ByteArray::from)).collect();
            for values in [bytes, paths] {
                let levels: Vec<i16> = values.iter().map(|value| if value.is_some() { 2 } else { 1 }).collect();
                let values: Vec<_> = values.into_iter().flatten().collect();
                let mut column = group.next_column().unwrap().unwrap();
                column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
                column.close().unwrap();
            }
            let labels: Vec<i64> = rows.iter().map(|row| row.2).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&labels, None, None).unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
    }

    pub(crate) const NAMES: &str = r#"{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}"#;

    /// A folder of real data, if this machine has it.
    pub(crate) fn real_data(name: &str) -> Option<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
        if !root.is_dir() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "skipped: there is no real data in {}", root.display());
        }
        root.is_dir().then_some(root)
    }

    #[test]
    fn tables_of_others_are_read() {
        for (name, class, train) in [("mnist", "9", 60_000), ("cifar10-jpeg", "truck", 50_000)] {
            let Some(root) = real_data(name) else { continue };
            assert_eq!(open(&root).unwrap().train.entries.len(), train);
            let splits = load(&Parquet { limit: Some(7), validation_share: 0.2, ..config(&root) }).unwrap();
            assert_eq!([splits.train.len(), splits.validation.unwrap().len(), splits.test.len()], [70; 3]);
            assert_eq!(splits.train.classes()[9], class);
        }
    }

    fn png(width: u32) -> Vec<u8> {
        encoded(ImageFormat::Png, width, 8)
    }

    fn config(root: &Path) -> Parquet {
        Parquet { size: 8, validation_share: 0.0, ..Parquet::new(root.to_owned()) }
    }

    fn load(config: &Parquet) -> Result<Splits> {
        config.load(&Context::quiet(0))
    }

    fn five() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let rows: Vec<Row> = vec![
            (Some(png(8)), Some("a"), 1),
            (Some(png(9)), Some("b"), 0),
            (Some(png(10)), Some("b"), 1),
            (Some(png(11)), None, 1),
            (Some(png(12)), Some("e"), 0),
        ];
        write(&root.path().join("train-0-of-2.parquet"), Some(NAMES), &rows);
        write(&root.path().join("train-1-of-2.parquet"), Some(NAMES), &rows[..1]);
        write(&root.path().join("test.parquet"), Some(NAMES), &rows[1..2]);
        root
    }

    #[test]
    fn tables_give_images_names_and_stable_ids() {
        let root = five();
        let splits = load(&config(root.path())).unwrap();
        let samples = splits.train.samples();
        assert_eq!(samples.iter().map(|sample| sample.label).collect::<Vec<_>>(), [1, 0, 1, 1, 0, 1]);
        let ids: Vec<_> = samples.iter().map(|sample| sample.id.as_str()).collect();
        assert_eq!(ids, ["train/a", "train/b", "train/b#2", "train/train-0-of-2.parquet#3", "train/e", "train/a#5"]);
        assert!(samples[4].path.ends_with("train-0-of-2.parquet row 4") && samples[5].path.ends_with("train-1-of-2.parquet row 0"));
        assert_eq!(splits.train.classes(), ["cat", "dog"]);
        assert_eq!(splits.train.image(0).unwrap(), splits.train.image(5).unwrap());
        assert_ne!(splits.train.image(0).unwrap(), splits.train.image(2).unwrap());
        assert_eq!(splits.test.image(0).unwrap(), splits.train.image(1).unwrap());
    }

    #[test]
    fn chosen_rows_are_the_right_ones() {
        let root = five();
        let all = load(&config(root.path())).unwrap().train;
        let cats = load(&Parquet { classes: Some(Selection::Classes(vec!["cat".into()])), ..config(root.path()) }).unwrap().train;
        assert_eq!(cats.samples().iter().map(|sample| sample.id.as_str()).collect::<Vec<_>>(), ["train/b", "train/e"]);
        assert_eq!([cats.image(0).unwrap(), cats.image(1).unwrap()], [all.image(1).unwrap(), all.image(4).unwrap()]);
    }

    #[test]
    fn a_table_without_an_image_or_with_half_of_one_names_the_row() {
        let root = five();
        let rows: Vec<Row> =
            vec![(Some(png(8)), None, 0), (None, None, 0), (Some(png(8)[..40].to_vec()), None, 1), (Some(vec![]), None, 1)];
        write(&root.path().join("train-1-of-2.parquet"), Some(NAMES), &rows);
        let error = load(&config(root.path())).unwrap_err().to_string();
        assert!(error.contains("train-1-of-2.parquet row 1: there is no image"), "{error}");
        let splits = load(&Parquet { on_error: OnError::Skip, ..config(root.path()) }).unwrap();
        assert_eq!(splits.train.len(), 6);
        assert_eq!(splits.skipped.len(), 3);
        assert!(splits.skipped[1].path.ends_with("row 2"));
    }

    #[test]
    fn unusable_tables_are_refused() {
        let cases: [(Option<&str>, &[Row], &str); 4] = [
            (Some(NAMES), &[(None, None, 2)], "row 0: no label from 0 to 1"),
            (Some(NAMES), &[(None, None, -1)], "row 0: no label"),
            (Some("{"), &[(None, None, 0)], "no JSON"),
            (None, &[(None, None, 0)], "names other classes"),
        ];
        for (metadata, rows, problem) in cases {
            let root = five();
            write(&root.path().join("train-1-of-2.parquet"), metadata, rows);
            let error = load(&config(root.path())).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let root = five();
        let other =
            |image: &str, label: &str| Parquet { image_column: image.to_owned(), label_column: label.to_owned(), ..config(root.path()) };
        let error = load(&other("picture", "label")).unwrap_err();
        assert!(
            error.to_string().contains("its columns are image.bytes, image.path, label") && error.help().unwrap().contains("image-column")
        );
        assert!(load(&other("image", "image.path")).unwrap_err().help().unwrap().contains("label-column"));
        assert!(load(&config(&root.path().join("absent"))).is_err());
        assert!(load(&Parquet { train: "training-*".to_owned(), ..config(root.path()) }).unwrap_err().to_string().contains("training-*"));
        fs::write(root.path().join("train-0-of-2.parquet"), b"PAR1 or not").unwrap();
        assert!(load(&config(root.path())).unwrap_err().to_string().contains("no usable Parquet table"));
    }

    #[test]
    fn classes_without_names_are_numbers() {
        let root = tempfile::tempdir().unwrap();
        write(&root.path().join("train.parquet"), None, &[(Some(png(8)), None, 3), (Some(png(8)), None, 0)]);
        write(&root.path().join("test.parquet"), None, &[(Some(png(8)), None, 5)]);
        assert_eq!(load(&config(root.path())).unwrap().train.classes(), ["0", "1", "2", "3", "4", "5"]);
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("train*.parquet", "train-00000-of-00001.parquet", true),
            ("train*.parquet", "train.parquet", true),
            ("train*.parquet", "train.parquet.part", false),
            ("*é*", "aéb", true),
            ("a*b*c", "a--c--b--c", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn broken_tables_never_panic(cut in any::<proptest::sample::Index>(), flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6)) {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("train.parquet");
            write(&path, Some(NAMES), &[(Some(png(8)), Some("a"), 1), (Some(png(9)), Some("b"), 0), (None, None, 1)]);
            let mut bytes = fs::read(&path).unwrap();
            fs::write(root.path().join("test.parquet"), &bytes).unwrap();
            if flips.is_empty() {
                bytes.truncate(cut.index(bytes.len()));
            }
            for (index, value) in flips {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
            fs::write(&path, bytes).unwrap();
            let _ = load(&config(root.path()));
        }
    }
}
