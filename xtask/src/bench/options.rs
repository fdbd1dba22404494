//! What a bench is told on the command line.

use std::num::NonZero;

use anyhow::{Context, Result, ensure};

use crate::bezoar::take_option;

/// Options of a bench, taken one by one.
pub(super) struct Options {
    left: Vec<String>,
    usage: &'static str,
}

impl Options {
    pub(super) fn of(options: &[&str], usage: &'static str) -> Self {
        Self { left: options.iter().map(ToString::to_string).collect(), usage }
    }

    /// The value of an option, if it is given.
    pub(super) fn given(&mut self, name: &str) -> Result<Option<String>> {
        take_option(&mut self.left, name)
    }

    /// The value of an option, or what stands for it.
    pub(super) fn or(&mut self, name: &str, default: &str) -> Result<String> {
        Ok(self.given(name)?.unwrap_or_else(|| default.to_owned()))
    }

    /// A number above 0, or what stands for it.
    pub(super) fn number(&mut self, name: &str, default: u32) -> Result<u32> {
        let wanted = || format!("{name} wants a number above 0");
        self.given(name)?.map_or(Ok(default), |text| text.parse::<NonZero<u32>>().map(NonZero::get).with_context(wanted))
    }

    /// Refuses what was not taken.
    pub(super) fn end(self) -> Result<()> {
        ensure!(self.left.is_empty(), "usage: cargo xtask bench {}", self.usage);
        Ok(())
    }

    /// What was not taken.
    pub(super) fn rest(self) -> Vec<String> {
        self.left
    }
}
