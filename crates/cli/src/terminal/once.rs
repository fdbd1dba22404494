use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use bezoar_core::{Progress, Task};

/// Hands on tasks, and each note once: many classes, and many cells of a study, have the same to say.
pub(super) struct Once<P> {
    progress: P,
    said: Mutex<BTreeSet<String>>,
}

impl<P> Once<P> {
    pub(super) fn new(progress: P) -> Self {
        Self { progress, said: Mutex::default() }
    }
}

impl<P: Progress> Progress for Once<P> {
    fn task(&self, label: &str, total: u64) -> Box<dyn Task> {
        self.progress.task(label, total)
    }

    fn note(&self, message: &str) {
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(message.to_owned()) {
            self.progress.note(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::Silent;

    use super::*;

    struct Notes(Mutex<Vec<String>>);

    impl Progress for Notes {
        fn task(&self, _: &str, _: u64) -> Box<dyn Task> {
            Box::new(Silent)
        }

        fn note(&self, message: &str) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }

    #[test]
    fn a_note_is_said_once() {
        let once = Once::new(Notes(Mutex::default()));
        for message in ["first", "second", "first", "first"] {
            once.note(message);
        }
        assert_eq!(*once.progress.0.lock().unwrap(), ["first", "second"]);
    }
}
