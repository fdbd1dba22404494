//! How large the page may become, and who may spend how much of it.

/// Bytes of the whole page. Mail and browsers take as much.
const PAGE: usize = 12_000_000;

/// What is left for the pages of classes.
pub(super) struct Budget {
    left: usize,
    pages: usize,
}

impl Budget {
    /// What other sections leave to so many pages of classes.
    pub(super) fn new(others: usize, pages: usize) -> Self {
        Self { left: PAGE.saturating_sub(others), pages }
    }

    /// Bytes that the next page may spend: as many as each of those that still come.
    pub(super) fn share(&self) -> usize {
        self.left / self.pages.max(1)
    }

    /// A page took so many bytes.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        self.pages = self.pages.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_page_spares_the_others_have() {
        let mut budget = Budget::new(PAGE - 900, 3);
        assert_eq!(budget.share(), 300);
        budget.spend(100);
        assert_eq!(budget.share(), 400);
        budget.spend(1000);
        assert_eq!(budget.share(), 0);
    }
}
