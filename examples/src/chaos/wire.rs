//! The wire between the daemons and the server, which can be cut, and can go dead without a word.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A relay on a port of its own.
pub(crate) struct Wire {
    address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    /// Nothing passes.
    dead: bool,
    /// Both ends of every connection.
    open: Vec<TcpStream>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_alive(&self) {
        let mut inner = self.lock();
        while inner.dead {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Wire {
    /// A wire to the server at this address.
    pub(crate) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let (state, server) = (Arc::new(State::default()), server.to_owned());
        let shared = Arc::clone(&state);
        // ends with the process: it has nothing to lose
        thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                // no server: the caller hears it at once
                if let Ok(callee) = TcpStream::connect(&server) {
                    relay(&caller, &callee, &shared);
                }
            }
        });
        Self { address, state }
    }

    /// Where daemons call.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Ends every connection at once.
    pub(crate) fn cut(&self) {
        for end in self.state.lock().open.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Lets nothing pass, or lets everything pass again.
    pub(crate) fn set_dead(&self, dead: bool) {
        self.state.lock().dead = dead;
        self.state.changed.notify_all();
    }
}

fn relay(caller: &TcpStream, callee: &TcpStream, state: &Arc<State>) {
    let both = [(caller, callee), (callee, caller)];
    for (from, to) in both {
        let (Ok(from), Ok(to), Ok(kept)) = (from.try_clone(), to.try_clone(), from.try_clone()) else { return };
        state.lock().open.push(kept);
        let state = Arc::clone(state);
        thread::spawn(move || pass(from, to, &state));
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        state.wait_alive();
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
