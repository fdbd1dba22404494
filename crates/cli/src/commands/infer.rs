use bezoar_core::Error;
use clap::Args;

use crate::commands::arrays::Arrays;
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Infer {
    #[command(flatten)]
    arrays: Arrays,
}

impl Infer {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<(), Error> {
        let images = self.arrays.images()?;
        let network = self.arrays.network(&images)?.fold_batch_norm()?;
        self.arrays.through(terminal, &network, &images, "scores", |images, _| network.forward(images))
    }
}
