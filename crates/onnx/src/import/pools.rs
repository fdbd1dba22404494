//! Pools and means.

use bezoar_nn::{Border, Op, Window};

use super::attributes::Attributes;
use super::call::Call;
use super::value::Value;
use super::windows::window;
use super::{Importer, Problem};

impl Importer<'_> {
    pub(super) fn max_pool(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let maps = call.maps()?;
        let window = window(call.node, [maps.shape[2], maps.shape[3]], None)?;
        self.layer(call, Op::MaxPool { window }, &[maps.id], maps.batch, Vec::new())
    }

    pub(super) fn average_pool(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let maps = call.maps()?;
        let window = window(call.node, [maps.shape[2], maps.shape[3]], None)?;
        let counted = call.node.int("count_include_pad", 0)? != 0;
        if counted && call.node.int("ceil_mode", 0)? != 0 {
            return self.rounded_average(call, window);
        }
        let border = if counted { Border::Counted } else { Border::Ignored };
        self.layer(call, Op::AvgPool { window, border }, &[maps.id], maps.batch, Vec::new())
    }

    /// An average pool that counts the border which was asked for, but not what rounding up adds to it: the one becomes zeros of the
    /// image.
    fn rounded_average(&mut self, call: &Call<'_>, window: Window) -> Result<Value, Problem> {
        let maps = call.maps()?;
        let asked = match call.node.ints("pads")? {
            Some(&[_, _, bottom, right]) => [bottom, right].map(|side| usize::try_from(side).unwrap_or_default()),
            _ => [0; 2],
        };
        let before = vec![0, window.before[0], window.before[1]];
        let op = Op::Pad { before, after: vec![0, asked[0], asked[1]], value: 0.0 };
        let padded = self.layers.add(&format!("{}.border", call.name()), op, &[maps.id], Vec::new())?;
        let rest = [0, 1].map(|side| window.after[side].saturating_sub(asked[side]));
        let op = Op::AvgPool { window: window.border([0; 2], rest), border: Border::Ignored };
        self.layer(call, op, &[padded], maps.batch, Vec::new())
    }

    pub(super) fn global_pool(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let maps = call.maps()?;
        let window = Window::rectangle([maps.shape[2], maps.shape[3]]);
        let op = if call.node.op_type == "GlobalMaxPool" { Op::MaxPool { window } } else { Op::avg_pool(window) };
        self.layer(call, op, &[maps.id], maps.batch, Vec::new())
    }

    /// A mean; over all positions of maps it is a global pool, as exporters write that too.
    pub(super) fn reduce_mean(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let layer = call.layer(0)?;
        let axes = call.axes(1, layer.shape.len())?.ok_or("takes the mean over the whole batch")?;
        let keeps = call.node.int("keepdims", 1)? != 0;
        let (name, is_global) = (call.name(), call.maps().is_ok() && axes == [2, 3]);
        let target: Vec<usize> = if keeps {
            (0..layer.shape.len()).map(|at| if axes.contains(&at) { 1 } else { layer.shape[at] }).collect()
        } else {
            (0..layer.shape.len()).filter(|at| !axes.contains(at)).map(|at| layer.shape[at]).collect()
        };
        let of_sample = axes.iter().map(|&at| layer.sample_axis(at, self.images)).collect::<Result<Vec<_>, Problem>>()?;
        let place = layer.batch.place();
        let batch = if keeps { layer.batch } else { layer.batch.moved(place - axes.iter().filter(|at| **at < place).count()) };
        let op = if is_global { Op::avg_pool(Window::rectangle([layer.shape[2], layer.shape[3]])) } else { Op::Mean { axes: of_sample } };
        let id = self.layers.add(&name, op, &[layer.id], Vec::new())?;
        let id = self.layers.reshape(&format!("{name}.shape"), id, batch.sample(&target, self.images))?;
        Ok(Value::Layer(self.layer_at(id, batch)))
    }
}
