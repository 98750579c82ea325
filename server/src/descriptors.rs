//! Open files: every connection is one, and the system gives a program that does not ask only a thousand.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files besides connections: the database, its log, listeners, what the runtime needs.
const OWN: u64 = 256;

/// Asks for as many as `connections` need, and says so where the system does not give them.
pub(crate) fn ask_for(connections: usize) {
    let wanted = (connections as u64).saturating_add(OWN);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    let given = match setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum }) {
        Ok(()) => current,
        Err(_) => limit.current,
    };
    if let Some(given) = given.filter(|given| *given < wanted) {
        tracing::warn!(given, wanted, "fewer open files than connections.most needs: raise the limit (LimitNOFILE=)");
    }
}
