use bezoar_core::Error;
use clap::Args;

use crate::commands::arrays::Arrays;
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Activations {
    #[command(flatten)]
    arrays: Arrays,
    /// The layer, as `bezoar model describe` names it.
    #[arg(long, value_name = "NAME")]
    layer: String,
}

impl Activations {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<(), Error> {
        let images = self.arrays.images()?;
        let network = self.arrays.network(&images)?;
        let id = network.graph().require(&self.layer)?;
        self.arrays.through(terminal, &network, &images, "activations", |images, _| network.forward_to(images, id))
    }
}
