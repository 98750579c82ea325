//! The wire between the daemons and the server, which can be cut, can go dead without a word, and can forget.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A relay on a port of its own.
pub struct Wire {
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
    /// Connections made so far.
    made: u64,
    /// Of those so many are forgotten: they stay open, and nothing passes on them ever again.
    forgotten: u64,
    /// Both ends of every connection.
    open: Vec<TcpStream>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_alive(&self, number: u64) {
        let mut inner = self.lock();
        while inner.dead || number <= inner.forgotten {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Wire {
    /// A wire to the server at this address.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn to(server: &str) -> Self {
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
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends every connection at once.
    pub fn cut(&self) {
        for end in self.state.lock().open.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Forgets the connections there are, as a router that was restarted does: both ends believe in them, new ones pass.
    pub fn forget(&self) {
        let mut inner = self.state.lock();
        inner.forgotten = inner.made;
    }

    /// Lets nothing pass, or lets everything pass again.
    pub fn set_dead(&self, dead: bool) {
        self.state.lock().dead = dead;
        self.state.changed.notify_all();
    }
}

fn relay(caller: &TcpStream, callee: &TcpStream, state: &Arc<State>) {
    let number = {
        let mut inner = state.lock();
        inner.made += 1;
        inner.made
    };
    let both = [(caller, callee), (callee, caller)];
    for (from, to) in both {
        let (Ok(from), Ok(to), Ok(kept)) = (from.try_clone(), to.try_clone(), from.try_clone()) else { return };
        state.lock().open.push(kept);
        let state = Arc::clone(state);
        thread::spawn(move || pass(from, to, number, &state));
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, number: u64, state: &State) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        state.wait_alive(number);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
