use std::io::Write;
use std::time::Duration;

use bezoar_core::{Progress, Task};
use serde_json::{Value, json};

use super::reported::{Reported, State};

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
        Box::new(Reported::new(label, total, INTERVAL, say_state))
    }

    fn note(&self, message: &str) {
        say("note", json!({ "message": message }));
    }
}

fn say_state(State { label, done, total, seconds, left, remark, is_over }: &State<'_>) {
    let event = if *is_over { "end" } else { "progress" };
    say(event, json!({ "task": label, "done": done, "total": total, "seconds": seconds, "left": left, "remark": remark }));
}
