//! Matrices: one tree for every combination of values that a pipeline's `matrix:` asks for.

use std::collections::BTreeSet;

use crate::{Diagnostic, Diagnostics, Map, Node, Span, set::assign, suggest};

/// The key under which a matrix stands.
pub const MATRIX: &str = "matrix";

const INCLUDE: &str = "include";
const EXCLUDE: &str = "exclude";

/// Nobody waits for more cells than these: a typing mistake asked for them.
const MOST: usize = 100_000;

/// One combination of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The fields that the matrix sets here, by path, and their values, in the order in which they are set.
    pub settings: Vec<(String, Node)>,
    /// The tree with these values and without the matrix.
    pub node: Node,
}

/// The cells of a tree's `matrix:`, in order; the tree itself where it has none.
///
/// A field of the matrix is a path, as [`set`](crate::set()) takes it, with a list of values; the cells are the product of these lists, the
/// last one changing fastest. `exclude:` lists combinations to leave out, each of one value a path or of a list of values: the cells that have
/// one of these of each of its paths. `include:` lists further products. Equal combinations are one cell.
///
/// # Errors
/// When the matrix is no mapping, has an axis without values, excludes what it does not have, asks for no or for more than 100,000 cells,
/// or when a path cannot be set.
pub fn expand(root: &Node) -> Result<Vec<Cell>, Diagnostics> {
    let Some(matrix) = root.get(MATRIX) else { return Ok(vec![Cell { settings: Vec::new(), node: root.clone() }]) };
    let axes = axes(matrix)?;
    let mut combinations = if axes.is_empty() { Vec::new() } else { product(matrix, &axes)? };
    for rule in rules(matrix, EXCLUDE)? {
        leave_out(&mut combinations, &axes, rule)?;
    }
    for further in rules(matrix, INCLUDE)? {
        combinations.extend(product(further, &self::axes(further)?)?);
    }
    let mut seen = BTreeSet::new();
    combinations.retain(|settings| seen.insert(identity(settings)));
    if combinations.is_empty() {
        return Err(mistake(matrix, "this matrix has no cells").help("write paths with lists of values, such as `seed: [0, 1, 2]`").into());
    }
    let base = root.without(MATRIX);
    combinations.iter().map(|settings| cell(&base, settings)).collect()
}

/// A path and its values.
struct Axis<'a> {
    path: &'a str,
    span: Option<Span>,
    values: Vec<&'a Node>,
}

impl Axis<'_> {
    fn has(&self, value: &Node) -> bool {
        let value = value.to_json();
        self.values.iter().any(|own| own.to_json() == value)
    }
}

/// A value of an axis.
#[derive(Clone, Copy)]
struct Setting<'a> {
    path: &'a str,
    span: Option<Span>,
    value: &'a Node,
}

fn mistake(node: &Node, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new("bad-matrix", message).at_node(node)
}

fn mapping(node: &Node) -> Result<&Map, Diagnostics> {
    let wanted = "write paths with lists of values, such as `{ seed: [0, 1, 2] }`";
    node.as_map().ok_or_else(|| mistake(node, format!("a mapping is wanted here, not {}", node.describe())).help(wanted).into())
}

/// The axes of a mapping: what stands under each path, in a list or alone.
fn axes(node: &Node) -> Result<Vec<Axis<'_>>, Diagnostics> {
    let fields = mapping(node)?.entries().filter(|(path, _)| ![INCLUDE, EXCLUDE].contains(&path.as_str()));
    fields
        .map(|(path, entry)| match entry.value.as_list() {
            Some([]) => Err(mistake(&entry.value, format!("`{path}` has no values")).into()),
            Some(items) => Ok(Axis { path, span: entry.key_span, values: items.iter().collect() }),
            None => Ok(Axis { path, span: entry.key_span, values: vec![&entry.value] }),
        })
        .collect()
}

/// The items of the list under `key`, if it is there.
fn rules<'a>(matrix: &'a Node, key: &str) -> Result<&'a [Node], Diagnostics> {
    let Some(node) = matrix.get(key) else { return Ok(&[]) };
    let help = format!("write `{key}: [{{ seed: 0 }}]`");
    node.as_list().ok_or_else(|| mistake(node, format!("`{key}` is a list of combinations, not {}", node.describe())).help(help).into())
}

fn product<'a>(place: &Node, axes: &[Axis<'a>]) -> Result<Vec<Vec<Setting<'a>>>, Diagnostics> {
    let cells = axes.iter().try_fold(1_usize, |cells, axis| cells.checked_mul(axis.values.len()).filter(|&cells| cells <= MOST));
    if cells.is_none() {
        return Err(mistake(place, format!("more than {MOST} cells")).help("take values out of the longest lists").into());
    }
    let mut combinations = vec![Vec::new()];
    for &Axis { path, span, ref values } in axes {
        let with = |before: &Vec<Setting<'a>>, value| before.iter().copied().chain([Setting { path, span, value }]).collect();
        combinations = combinations.iter().flat_map(|before| values.iter().map(move |value| with(before, value))).collect();
    }
    Ok(combinations)
}

/// Takes out the combinations that have of each path of a rule one of its values.
fn leave_out(combinations: &mut Vec<Vec<Setting<'_>>>, axes: &[Axis<'_>], rule: &Node) -> Result<(), Diagnostics> {
    if let Some(path) = mapping(rule)?.keys().find(|path| axes.iter().all(|axis| axis.path != *path)) {
        let near = suggest(path, axes.iter().map(|axis| axis.path));
        let label = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
        return Err(Diagnostic::new("bad-matrix", format!("the matrix has no axis `{path}`")).at_key(rule, path).label(label).into());
    }
    let unwanted = self::axes(rule)?;
    for Axis { path, values, .. } in &unwanted {
        let is_known = |value: &Node| axes.iter().any(|axis| axis.path == *path && axis.has(value));
        if let Some(value) = values.iter().find(|value| !is_known(value)) {
            return Err(mistake(value, format!("`{path}` never has this value")).into());
        }
    }
    let before = combinations.len();
    combinations.retain(|cell| !unwanted.iter().all(|axis| cell.iter().any(|set| set.path == axis.path && axis.has(set.value))));
    if combinations.len() == before {
        return Err(mistake(rule, "no cell of the matrix has these values").into());
    }
    Ok(())
}

/// Equal for combinations that set the same values.
fn identity(settings: &[Setting<'_>]) -> BTreeSet<(String, String)> {
    settings.iter().map(|set| (set.path.to_owned(), set.value.to_json().to_string())).collect()
}

fn cell(base: &Node, settings: &[Setting<'_>]) -> Result<Cell, Diagnostics> {
    let mut node = base.clone();
    for &Setting { path, span, value } in settings {
        let steps: Vec<_> = path.split('.').map(|key| (key, span)).collect();
        if steps.iter().any(|(key, _)| key.trim().is_empty()) {
            return Err(Diagnostic::new("bad-matrix", format!("an empty name in the path `{path}`")).at(&value.source, span).into());
        }
        assign(&mut node, &steps, &value.source, value.clone())?;
    }
    Ok(Cell { settings: settings.iter().map(|set| (set.path.to_owned(), set.value.clone())).collect(), node })
}
