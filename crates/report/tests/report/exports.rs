//! Tables and arrays for other programs.

use std::path::Path;

use bezoar_core::{Context, Edit, Image, ImageSet, ImageShape, NamedFeatures, Plugin};
use bezoar_formats::read_array;
use bezoar_report::{Arrays, Format, List, Virelay};

use crate::fixture;

#[test]
fn the_list_has_an_action_for_each_image() {
    let (run, folder) = (fixture::attacked(20, 5), tempfile::tempdir().unwrap());
    let files = List {}.build().unwrap().write(&Context::quiet(0), &run.report(), folder.path()).unwrap();
    assert_eq!(files, [folder.path().join("images.csv")]);
    let text = std::fs::read_to_string(&files[0]).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "id,path,given_label,action,is_label_issue,label_quality");
    assert_eq!(lines.len(), 1 + run.outcome.images.len());
    let quality = |line: &str| line.rsplit(',').next().unwrap().parse::<f64>().unwrap();
    for (row, line) in lines[1..].iter().enumerate() {
        let flagged = run.outcome.detections.iter().any(|detection| detection.verdict.flagged[row]);
        assert_eq!((line.contains(",remove,True,"), flagged), (flagged, flagged), "{line}");
        assert_eq!(quality(line) < 0.5, flagged, "{line}");
    }
    assert!(text.contains(",review,False,") && text.contains(",keep,False,"));
}

#[test]
fn features_come_out_as_they_went_in() {
    let run = fixture::attacked(20, 5);
    for format in [Format::Npy, Format::Safetensors] {
        let folder = tempfile::tempdir().unwrap();
        let files = Arrays { format }.build().unwrap().write(&Context::quiet(0), &run.report(), folder.path()).unwrap();
        let features: Vec<_> = run.outcome.detections.iter().flat_map(|detection| &detection.features).collect();
        assert!(!files.is_empty() && files.len() <= features.len());
        let source = &features[0].rows;
        let array = read_array(&files[0]).unwrap();
        let rows: Vec<usize> = (0..run.outcome.images.len()).collect();
        assert_eq!(array.shape(), [&[rows.len()], source.shape()].concat());
        assert_eq!(array.to_floats().unwrap(), source.select(&rows).unwrap().values());
        assert!(std::fs::read_dir(folder.path().join("features")).unwrap().all(|file| !file.unwrap().path().ends_with(".partial")));
    }
}

/// What the viewer reads: `data` and `label`; `attribution`, `label` and `prediction`; groups with `index`, `embedding` and `cluster`.
#[test]
fn the_viewers_project_holds_together() {
    let (run, folder) = (fixture::attacked(20, 5), tempfile::tempdir().unwrap());
    let files = Virelay::example().build().unwrap().write(&Context::quiet(0), &run.report(), folder.path()).unwrap();
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    let outcome = &run.outcome;
    let read = |name: &str| hdf5_pure::File::open(folder.path().join("virelay").join(name)).unwrap();
    let images = read("dataset.h5");
    let labels = images.dataset("label").unwrap().read_u32().unwrap();
    let shape = outcome.images.shape();
    let sizes = [labels.len(), shape.channels, shape.height, shape.width].map(|size| size as u64);
    assert_eq!(images.dataset("data").unwrap().shape().unwrap(), sizes);
    // The green of the second image's last pixel.
    let (area, at) = (shape.height * shape.width, 3 * shape.height * shape.width + 2 * shape.height * shape.width - 1);
    let shown: Vec<usize> = (0..outcome.images.len()).filter(|&row| labels.contains(&outcome.images.label(row))).collect();
    let pixels = outcome.images.image(shown[1]).unwrap();
    assert_eq!(images.dataset("data").unwrap().read_u8().unwrap()[at], pixels.pixels()[3 * area - 2]);
    let project =
        names.iter().find(|name| Path::new(name).extension().is_some_and(|ending| ending == "yaml")).expect("the fixture has heatmaps");
    let project: serde_json::Value =
        serde_yaml::from_str(&std::fs::read_to_string(folder.path().join("virelay").join(project)).unwrap()).unwrap();
    let project = &project["project"];
    let heatmaps = read(project["attributions"]["sources"][0].as_str().unwrap());
    assert_eq!(heatmaps.dataset("label").unwrap().read_u32().unwrap(), labels);
    let attribution = heatmaps.dataset("attribution").unwrap();
    assert_eq!(attribution.shape().unwrap(), sizes, "one channel of relevance and two of zeros");
    let NamedFeatures { name, rows: source, .. } = &outcome.detections[0].features[0];
    assert_eq!(project["attributions"]["attribution_method"], **name);
    let (of_second, values) = (source.select(&shown[1..2]).unwrap(), attribution.read_f32().unwrap());
    assert_eq!(values[3 * area..4 * area], *of_second.row(0));
    assert!(values[4 * area..6 * area].iter().all(|value| *value == 0.0));
    assert!(!project["analyses"][0]["analysis_method"].as_str().unwrap().contains('-'), "the viewer's server does not find hyphens");
    assert_eq!(heatmaps.dataset("prediction").unwrap().shape().unwrap(), [labels.len() as u64, outcome.images.classes().len() as u64]);
    let analysis = read(project["analyses"][0]["sources"][0].as_str().unwrap());
    for &class in &outcome.truth.as_ref().unwrap().targets {
        let group = format!("class-{class}");
        let places = analysis.dataset(&format!("{group}/index")).unwrap().read_u32().unwrap();
        assert!(!places.is_empty() && places.iter().all(|&place| labels[place as usize] == class));
        let truth = analysis.dataset(&format!("{group}/cluster/truth")).unwrap().read_i32().unwrap();
        let poison = outcome.truth.as_ref().unwrap().roles.iter().filter(|role| **role == bezoar_core::Role::Poison).count();
        assert_eq!(truth.iter().sum::<i32>(), poison as i32);
        assert_eq!(analysis.dataset(&format!("{group}/embedding/map")).unwrap().shape().unwrap(), [places.len() as u64, 2]);
    }
}

/// The viewer draws images of three channels alone.
#[test]
fn the_viewer_gets_grey_three_times() {
    let (mut run, folder) = (fixture::attacked(3, 2), tempfile::tempdir().unwrap());
    let images = &run.outcome.images;
    let shape = ImageShape { channels: 1, ..images.shape() };
    let grey = images.samples().iter().enumerate().map(|(row, sample)| {
        let pixels = images.image(row).unwrap().pixels().iter().step_by(3).copied().collect();
        Edit { sample: sample.clone(), image: Image::new(shape, pixels).unwrap() }
    });
    run.outcome.images = ImageSet::from_images(images.classes().to_vec(), grey.collect()).unwrap();
    Virelay::example().build().unwrap().write(&Context::quiet(0), &run.report(), folder.path()).unwrap();
    let data = hdf5_pure::File::open(folder.path().join("virelay/dataset.h5")).unwrap().dataset("data").unwrap();
    let area = shape.height * shape.width;
    assert_eq!(data.shape().unwrap()[1..], [3, shape.height as u64, shape.width as u64]);
    let values = data.read_u8().unwrap();
    assert!(
        values
            .chunks_exact(3 * area)
            .all(|planes| planes[..area] == planes[area..2 * area] && planes[area..2 * area] == planes[2 * area..])
    );
    assert!(values[..area].iter().any(|value| *value != values[0]), "an image is not of one grey");
}

#[test]
fn hostile_names_stay_in_the_viewers_files() {
    let hostile = "../../x\n- y: {z}";
    let (mut run, folder) = (fixture::attacked(20, 5), tempfile::tempdir().unwrap());
    run.outcome.name = hostile.to_owned();
    for detection in &mut run.outcome.detections {
        detection.detector = format!("{}{hostile}", detection.detector);
        detection.features.iter_mut().for_each(|features| features.name.push_str(hostile));
    }
    let files = Virelay::example().build().unwrap().write(&Context::quiet(0), &run.report(), folder.path()).unwrap();
    assert!(files.iter().all(|file| file.parent() == Some(&folder.path().join("virelay")) && file.is_file()), "{files:?}");
    let project = files.iter().find(|file| file.extension().is_some_and(|ending| ending == "yaml")).unwrap();
    let project: serde_json::Value = serde_yaml::from_str(&std::fs::read_to_string(project).unwrap()).unwrap();
    assert_eq!(project["project"]["model"], hostile);
}
