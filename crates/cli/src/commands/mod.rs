use bezoar_core::{Cancel, Error};

pub(crate) mod activations;
mod arrays;
pub(crate) mod attribute;
mod block;
pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod data;
mod dataset;
pub(crate) mod describe;
pub(crate) mod distances;
pub(crate) mod eval;
pub(crate) mod gallery;
pub(crate) mod infer;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod model;
pub(crate) mod plan;
pub(crate) mod poison;
mod poisoning;
pub(crate) mod reduce;
pub(crate) mod report;
mod rows;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod verify;

/// Lets the first Ctrl-C stop the work at the next safe place, and the second one at once.
fn cancel_on_interrupt(cancel: &Cancel) -> Result<(), Error> {
    let switch = cancel.clone();
    let handler = move || {
        if switch.is_cancelled() {
            std::process::abort();
        }
        switch.cancel();
    };
    ctrlc::set_handler(handler).map_err(Error::request)
}
