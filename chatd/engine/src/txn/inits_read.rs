//! INITs that were read lately: one comes with every envelope until its session is answered, and is looked at again
//! while its author's log is asked for and its share is opened.

use std::collections::VecDeque;
use std::sync::Arc;

use chat_protocol::session::init::Init;

/// Most INITs that are kept, of all devices together: with what was read of them less than a mebibyte.
const MOST: usize = 64;

/// The latest ones. They are found by their bytes alone, so what a transaction takes back makes none of them wrong.
#[derive(Debug, Default)]
pub(crate) struct InitsRead(VecDeque<Arc<Init>>);

impl InitsRead {
    /// What these bytes say; `None` if they are no INIT.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Option<Arc<Init>> {
        if let Some(known) = self.0.iter().find(|init| init.bytes() == bytes) {
            return Some(Arc::clone(known));
        }
        let init = Arc::new(Init::read(bytes).ok()?);
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(Arc::clone(&init));
        Some(init)
    }
}
