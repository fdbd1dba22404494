use std::path::{Path, PathBuf};

/// What can go wrong anywhere in Bezoar, in words for the person who runs it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The user stopped the run; everything finished so far is kept.
    #[error("stopped before the end; run the same command again to go on")]
    Cancelled,
    /// The operating system refused a file operation.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// Data that cannot be used: says where it lies, what is wrong, and how to mend it.
    #[error("{place}: {problem}")]
    Data {
        /// A file, a row of a table, a sample id, a layer.
        place: String,
        /// What is wrong there.
        problem: String,
        /// How to mend it, if that can be said.
        help: Option<String>,
    },
    /// A row of features that cannot be used; whoever knows what the row stands for says so instead.
    #[error("row {row} of the features: {problem}")]
    Row {
        /// Its number, from 0.
        row: usize,
        /// What is wrong with it.
        problem: String,
        /// How to mend it, if that can be said.
        help: Option<String>,
    },
    /// A request that makes no sense for this data or model: which one, and how to mend it.
    #[error("{problem}")]
    Request {
        /// What is wrong.
        problem: String,
        /// How to mend it, if that can be said.
        help: Option<String>,
    },
    /// YAML that cannot be used, each mistake with its place.
    #[error(transparent)]
    Config(#[from] bezoar_config::Diagnostics),
}

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[expect(clippy::needless_pass_by_value, reason = "callers pass texts, errors and formatted values alike")]
impl Error {
    /// A file operation on `path` that failed.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), source }
    }

    /// Unusable data at `place`.
    pub fn data(place: impl ToString, problem: impl ToString) -> Self {
        Self::Data { place: place.to_string(), problem: problem.to_string(), help: None }
    }

    /// An unusable row of features.
    pub fn row(row: usize, problem: impl ToString) -> Self {
        Self::Row { row, problem: problem.to_string(), help: None }
    }

    /// The same error for who handed on `rows` alone, or in this order: names the row by its own number.
    #[must_use]
    pub fn among(self, rows: &[usize]) -> Self {
        match self {
            Self::Row { row, problem, help } => Self::Row { row: rows.get(row).copied().unwrap_or(row), problem, help },
            other => other,
        }
    }

    /// A request that cannot be met.
    pub fn request(problem: impl ToString) -> Self {
        Self::Request { problem: problem.to_string(), help: None }
    }

    /// The same error with a hint how to mend it.
    #[must_use]
    pub fn with_help(mut self, hint: impl ToString) -> Self {
        if let Self::Data { help, .. } | Self::Row { help, .. } | Self::Request { help, .. } = &mut self {
            *help = Some(hint.to_string());
        }
        self
    }

    /// How to mend it, if that can be said.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Data { help, .. } | Self::Row { help, .. } | Self::Request { help, .. } => help.as_deref(),
            _ => None,
        }
    }
}
