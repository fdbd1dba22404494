use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bezoar_core::{Progress, Task};
use serde_json::{Value, json};

/// How often a task says how far it is.
const INTERVAL: Duration = Duration::from_secs(1);

/// What happens, as lines of JSON on stdout: mappings with the field `event`, which is `begin`, `progress`, `end`, `note`, `result` or `error`.
pub(super) struct Events;

/// Writes one line.
pub(super) fn say(event: &str, fields: Value) {
    let mut line = json!({ "event": event });
    if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
        line.extend(fields);
    }
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

impl Progress for Events {
    fn task(&self, label: &str, total: u64) -> Box<dyn Task> {
        say("begin", json!({ "task": label, "total": total }));
        let (start, remark) = (Instant::now(), Mutex::default());
        Box::new(Reported { label: label.to_owned(), total, done: AtomicU64::new(0), start, said: Mutex::new(start), remark })
    }

    fn note(&self, message: &str) {
        say("note", json!({ "message": message }));
    }
}

struct Reported {
    label: String,
    total: u64,
    done: AtomicU64,
    start: Instant,
    said: Mutex<Instant>,
    remark: Mutex<String>,
}

impl Reported {
    fn say(&self, event: &str) {
        let remark = self.remark.lock().map(|remark| remark.clone()).unwrap_or_default();
        let (done, seconds) = (self.done.load(Ordering::Relaxed), self.start.elapsed().as_secs_f64());
        say(event, json!({ "task": self.label, "done": done, "total": self.total, "seconds": seconds, "remark": remark }));
    }
}

impl Task for Reported {
    fn advance(&self, steps: u64) {
        self.done.fetch_add(steps, Ordering::Relaxed);
        if let Ok(mut said) = self.said.try_lock()
            && said.elapsed() >= INTERVAL
        {
            *said = Instant::now();
            self.say("progress");
        }
    }

    fn remark(&self, text: &str) {
        if let Ok(mut remark) = self.remark.lock() {
            text.clone_into(&mut remark);
        }
    }
}

impl Drop for Reported {
    fn drop(&mut self) {
        self.say("end");
    }
}
