//! The strongest squares of images, from a representation that finds them.

use bezoar_core::{ClassOrigin, Context, Error, Part, Representation, Result, Suspect};

/// What tells what the squares are from what they would be by other plugins: a block's identity does not cover the versions of the plugins within.
///
/// # Errors
/// When the representation cannot read what it needs.
pub(super) fn fingerprint(windows: &Part<dyn Representation>) -> Result<String> {
    let content = windows.blame(windows.fingerprint())?;
    Ok(format!("{} {content:?}", windows.identity()))
}

/// What `read` makes of the windows, `[y, x, size, mass]` each, of these images of a class, each image's strongest first.
///
/// # Errors
/// When the representation gives no windows, or not for each image.
pub(super) fn of<T>(
    cx: &Context,
    origin: &ClassOrigin<'_>,
    windows: &Part<dyn Representation>,
    rows: &[usize],
    read: impl Fn(&[f32]) -> T,
) -> Result<Vec<Vec<T>>> {
    let Suspect { images, model, .. } = *origin.suspect;
    let of_set: Vec<usize> = rows.iter().map(|&row| origin.rows[row]).collect();
    let mut found = Vec::with_capacity(rows.len());
    let refused = |problem: String| Error::request(problem).with_help("name `{ use: strongest-window }` there");
    windows.blame(windows.represent(cx, model, &images.select(&of_set), &mut |features| {
        if !matches!(features.shape(), &[count, 4] if count > 0) {
            return Err(refused(format!("`windows` gives rows of {:?}, not of [count, 4]", features.shape())));
        }
        found.extend(features.rows().map(|row| row.chunks_exact(4).map(&read).collect()));
        Ok(())
    }))?;
    if found.len() == rows.len() {
        Ok(found)
    } else {
        windows.blame(Err(refused(format!("`windows` gives {} rows for {} images", found.len(), rows.len()))))
    }
}
