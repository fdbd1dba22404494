//! Features through clusterers, distances and reducers.

use super::*;

fn save(folder: &Path, name: &str, shape: &[usize], values: Vec<f32>) {
    write_array(&folder.join(name), &Array::new(shape.to_vec(), Values::F32(values)).unwrap()).unwrap();
}

/// 12 rows of 3 values about 0, 20 about 9, and one far away, in a folder as `f.npy`.
fn features() -> TempDir {
    let folder = tempdir().unwrap();
    let mut rng = Context::quiet(3).rng("rows");
    let middles = [vec![0.0; 12], vec![9.0; 20], vec![50.0]].concat();
    let values = middles.into_iter().flat_map(|middle: f32| [middle; 3]).map(|middle| middle + rng.random_range(-0.5..0.5)).collect();
    save(folder.path(), "f.npy", &[33, 3], values);
    folder
}

fn labels(path: &Path) -> Vec<i64> {
    match read_array(path).unwrap().values() {
        Values::I64(values) => values.clone(),
        other => panic!("{:?}", other.dtype()),
    }
}

#[test]
fn clusters_are_numbered_by_size_and_noise_is_below_zero() {
    let folder = features();
    let path = folder.path();
    let said =
        succeeds(path, "cluster --features f.npy --use hdbscan --set min-cluster-size=5 --output l.npy --strengths s.npy --outliers o.npy");
    assert_eq!(said, "rows of each cluster: 20, 12; noise: 1\n");
    assert_eq!(labels(&path.join("l.npy")), [vec![1; 12], vec![0; 20], vec![-1]].concat());
    let (strengths, outliers) = (floats(&path.join("s.npy")), floats(&path.join("o.npy")));
    assert!(strengths[32] == 0.0 && strengths[..32].iter().all(|strength| *strength > 0.0), "{strengths:?}");
    assert!(outliers[..32].iter().all(|outlier| *outlier < outliers[32]), "{outliers:?}");
    let message = refused(path, "cluster --features f.npy --use k-means --output m.npy --strengths s.npy");
    assert!(message.contains("`k-means` does not say how firmly rows belong"), "{message}");
    assert!(!path.join("m.npy").exists());
}

#[test]
fn distances_are_a_square_and_the_solvers_agree() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    let mut rng = Context::quiet(4).rng("heatmaps");
    save(path, "h.npy", &[3, 8, 8], (0..3 * 64).map(|_| rng.random()).collect());
    succeeds(path, "distances --heatmaps h.npy --metric euclidean --output e.npy");
    let euclidean = floats(&path.join("e.npy"));
    let same = |a: usize, b: usize| euclidean[a].to_bits() == euclidean[b].to_bits();
    assert!((0..3).all(|row| euclidean[4 * row] == 0.0) && same(1, 3) && euclidean[1] > 0.0, "{euclidean:?}");
    for solver in ["fast", "reference"] {
        succeeds(
            path,
            &format!(
                "distances --heatmaps h.npy --metric gromov-wasserstein --epsilon 0.05 --mass 0.9 --solver {solver} --output {solver}.npy"
            ),
        );
    }
    assert_close(&floats(&path.join("fast.npy")), &floats(&path.join("reference.npy")), 1e-4);
    assert_eq!(read_array(&path.join("fast.npy")).unwrap().shape(), [3, 3]);
}

/// Rows without groups, where every tie and draw shows.
#[test]
fn clusters_by_distances_do_not_depend_on_the_order_of_the_file() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    let mut rng = Context::quiet(6).rng("rows");
    let rows: Vec<[f32; 2]> = (0..60).map(|_| rng.random()).collect();
    let order: Vec<usize> = (0..60).map(|row| row * 7 % 60).collect();
    let far = |a: usize, b: usize| (rows[a][0] - rows[b][0]).hypot(rows[a][1] - rows[b][1]);
    save(path, "d.npy", &[60, 60], (0..3600).map(|at| far(at / 60, at % 60)).collect());
    save(path, "moved.npy", &[60, 60], (0..3600).map(|at| far(order[at / 60], order[at % 60])).collect());
    for clusterer in ["hdbscan", "spectral --set k=4", "k-medoids --set k=5 --set restarts=1"] {
        let [as_it_is, moved] = ["d", "moved"].map(|name| {
            succeeds(path, &format!("cluster --use {clusterer} --distances {name}.npy --output {name}-labels.npy"));
            labels(&path.join(format!("{name}-labels.npy")))
        });
        assert_eq!(moved, order.iter().map(|&row| as_it_is[row]).collect::<Vec<_>>(), "{clusterer}");
    }
}

#[test]
fn distances_are_clustered_as_the_rows_they_are_of() {
    let folder = features();
    let path = folder.path();
    succeeds(path, "distances --heatmaps f.npy --metric euclidean --output d.npy");
    for clusterer in [
        "hdbscan",
        "optics --set eps=1.5",
        "dbscan --set eps=1.5",
        "spectral --set k=2",
        "agglomerative --set k=3 --set linkage=average",
        "k-medoids --set k=3",
    ] {
        for from in ["features f.npy --output f-labels.npy", "distances d.npy --output d-labels.npy"] {
            succeeds(path, &format!("cluster --use {clusterer} --{from}"));
        }
        assert_eq!(labels(&path.join("d-labels.npy")), labels(&path.join("f-labels.npy")), "{clusterer}");
    }
    save(path, "wide.npy", &[2, 3], vec![0.0; 6]);
    save(path, "nan.npy", &[2, 2], vec![0.0, f32::NAN, 1.0, 0.0]);
    save(path, "negative.npy", &[2, 2], vec![0.0, -1.0, -1.0, 0.0]);
    save(path, "skew.npy", &[2, 2], vec![0.0, 1.0, 2.0, 0.0]);
    save(path, "own.npy", &[2, 2], vec![0.0, 1.0, 1.0, 0.5]);
    for (arguments, wanted) in [
        ("--use hdbscan --distances wide.npy", "wide.npy: holds 2 rows of [3], and distances are a square [N, N]"),
        ("--use hdbscan --distances nan.npy", "nan.npy: row 0 holds a NaN or an infinity"),
        ("--use hdbscan --distances negative.npy", "negative.npy: rows 0 and 1 are -1 apart, and distances are not negative"),
        ("--use hdbscan --distances skew.npy", "skew.npy: row 1 is 2 from row 0, and 1 the other way"),
        ("--use hdbscan --distances own.npy", "own.npy: row 1 is 0.5 from itself, and not 0"),
        ("--use k-means --distances d.npy", "`k-means` takes no distances: it needs the rows themselves"),
        ("--use agglomerative --distances d.npy", "Ward's linkage is for Euclidean distances"),
        (
            r#"--use agglomerative --set linkage=single --set k={"by":"silhouette","at-most":4} --distances d.npy"#,
            "the silhouette needs the rows themselves",
        ),
        ("--use hdbscan --distances d.npy --features f.npy", "cannot be used with"),
        ("--use hdbscan", "--features <FILE>"),
    ] {
        let message = refused(path, &format!("cluster {arguments} --output out.npy"));
        assert!(message.contains(wanted), "{arguments}: {message}");
        assert!(!path.join("out.npy").exists(), "{arguments}");
    }
}

#[test]
fn rows_are_reduced() {
    let folder = features();
    succeeds(folder.path(), "reduce --features f.npy --use pca --set dimensions=2 --output r.npy");
    assert_eq!(read_array(&folder.path().join("r.npy")).unwrap().shape(), [33, 2]);
    succeeds(folder.path(), "distances --heatmaps f.npy --metric euclidean --output d.npy");
    let reduced = ["features f.npy", "distances d.npy"].map(|given| {
        succeeds(folder.path(), &format!("reduce --{given} --use diffusion-map --set dimensions=1 --output m.npy"));
        floats(&folder.path().join("m.npy"))
    });
    // In another order of rows, and up to a sign.
    let groups = |values: &[f64]| values.iter().map(|value| (value - values[0]).abs() > 0.5).collect::<Vec<_>>();
    assert_eq!(groups(&reduced[0]), groups(&reduced[1]));
    let refusal = refused(folder.path(), "reduce --distances d.npy --use pca --output m.npy");
    assert!(refusal.contains("`pca` takes no distances"), "{refusal}");
}

#[test]
fn rows_that_are_none_are_refused_by_name() {
    let folder = features();
    let path = folder.path();
    save(path, "nan.npy", &[2, 2], vec![0.0, 1.0, f32::NAN, 1.0]);
    save(path, "flat.npy", &[4], vec![0.0; 4]);
    for (arguments, parts) in [
        ("cluster --features nan.npy --use k-means", ["nan.npy", "row 1 holds a NaN"]),
        ("cluster --features flat.npy --use k-means", ["flat.npy", "[N, ..]"]),
        ("cluster --features f.npy --use k-menas", ["k-menas", "k-means"]),
        ("cluster --features f.npy --use k-means --set k=40", ["33", "40"]),
        ("cluster --features f.npy --use k-means --set k=0", ["k", "0"]),
        ("distances --heatmaps f.npy --metric wasserstein", ["heatmaps", "[H, W]"]),
        ("reduce --features f.npy --use pca --set dimension=2", ["dimension", "dimensions"]),
    ] {
        let message = refused(path, &format!("{arguments} --output out.npy"));
        assert!(parts.iter().all(|part| message.contains(part)), "{arguments}: {message}");
        assert!(!path.join("out.npy").exists(), "{arguments}");
    }
}
