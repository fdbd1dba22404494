//! Models with mistakes made at random are nets or errors, never panics.

use bezoar_core::Context;
use bezoar_formats::onnx::{self, Attribute, Model};
use bezoar_formats::{Array, Values};
use bezoar_onnx::{export, import};
use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::support::data;

const NUMBERS: [i64; 14] = [0, 1, -1, 2, -2, 3, 5, 7, 17, 1 << 20, 1 << 40, i64::MAX, i64::MIN, -(1 << 33)];

/// Makes one mistake in a model.
fn spoil(model: &mut Model, rng: &mut impl RngExt) {
    let names: Vec<String> = model.nodes.iter().flat_map(|node| node.inputs.iter().chain(&node.outputs).cloned()).collect();
    let operators: Vec<String> = model.nodes.iter().map(|node| node.op_type.clone()).collect();
    let arrays: Vec<String> = model.initializers.keys().cloned().collect();
    let count = model.nodes.len();
    let number = |rng: &mut dyn FnMut(usize) -> usize| NUMBERS[rng(NUMBERS.len())];
    let mut below = |end: usize| rng.random_range(0..end);
    match below(8) {
        0 => {
            let (place, name) = (below(count), names[below(names.len())].clone());
            let inputs = &mut model.nodes[place].inputs;
            if !inputs.is_empty() {
                let at = below(inputs.len());
                inputs[at] = name;
            }
        }
        1 => model.nodes[below(count)].op_type.clone_from(&operators[below(count)]),
        2 => {
            for attribute in model.nodes[below(count)].attributes.values_mut() {
                match attribute {
                    Attribute::Int(value) => *value = number(&mut below),
                    Attribute::Ints(values) if !values.is_empty() => {
                        let at = below(values.len());
                        values[at] = number(&mut below);
                    }
                    Attribute::Tensor(array) => spoil_array(array, &mut below),
                    _ => {}
                }
            }
        }
        3 if !arrays.is_empty() => {
            let name = &arrays[below(arrays.len())];
            if let Some(array) = model.initializers.get_mut(name) {
                spoil_array(array, &mut below);
            }
        }
        4 if !arrays.is_empty() => {
            let array = model.initializers[&arrays[below(arrays.len())]].clone();
            model.initializers.insert(arrays[below(arrays.len())].clone(), array);
        }
        5 => drop(model.nodes[below(count)].inputs.pop()),
        6 => model.nodes.swap(below(count), below(count)),
        _ => {
            if let Some(size) = model.inputs[0].shape.as_mut().and_then(|shape| shape.get_mut(below(4))) {
                *size = [None, Some(0), Some(1), Some(2), Some(3), Some(1 << 20)][below(6)];
            }
        }
    }
}

/// Puts another number into an array of whole numbers, or gives any array another shape.
fn spoil_array(array: &mut Array, below: &mut impl FnMut(usize) -> usize) {
    let (mut shape, mut values) = array.clone().into_parts();
    match &mut values {
        Values::I64(values) if !values.is_empty() => {
            let at = below(values.len());
            values[at] = NUMBERS[below(NUMBERS.len())];
        }
        _ => shape.reverse(),
    }
    *array = Array::new(shape, values).unwrap();
}

#[test]
fn mistakes_are_errors_or_other_nets() {
    let nets =
        ["dense-script17-any", "inception-script11-any", "keras", "mobile-script11-2", "transformer-dynamo18-2", "windows-script11-any"];
    let mut rng = Context::quiet(6).rng("mistakes");
    let (mut taken, mut refused) = (0, 0);
    for net in nets {
        let whole = onnx::read(&data(&format!("{net}.onnx"))).unwrap();
        for _ in 0..400 {
            let mut model = whole.clone();
            for _ in 0..*[1, 1, 2, 4].choose(&mut rng).unwrap() {
                spoil(&mut model, &mut rng);
            }
            match import(&model) {
                Ok(net) => {
                    taken += 1;
                    import(&export(&net).unwrap()).unwrap();
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    assert!(taken > 100 && refused > 1000, "{taken} taken, {refused} refused");
}
