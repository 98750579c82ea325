//! The socket as a file, and who may call: this user and nobody else.
//!
//! Refuses links, foreign owners and open modes on the way to the socket, and never takes the place
//! of a daemon that answers. A socket left behind by a crash is removed only under the data lock.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::dirs::{DataDir, DirError, Lock, Quoted};

/// Longest path of a Unix socket on Linux, its closing NUL not counted.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Why there is no socket, or no answer on it.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The directory is not ours alone.
    #[error(transparent)]
    Directory(#[from] DirError),
    /// The system's limit.
    #[error("the socket path {0} is longer than {MAX_SOCKET_PATH_BYTES} bytes; name a shorter one with --socket")]
    TooLong(Quoted),
    /// Something that is no socket of ours has its name.
    #[error("{0} is not a socket of yours; move it away: `mv {0} {0}.old`")]
    InTheWay(Quoted),
    /// Another daemon answers there.
    #[error("another daemon answers on {0}; stop it first, or name another --profile")]
    Answered(Quoted),
    /// The system refused.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: Quoted,
        /// Why not.
        source: io::Error,
    },
    /// Everybody on the network could call.
    #[error("{0} can be reached from other machines; name a loopback address, as in 127.0.0.1:8899")]
    NotLoopback(SocketAddr),
    /// The port cannot be had.
    #[error("cannot listen on {address}; name another with --http-listen")]
    Port {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The service manager's socket is of no use.
    #[error("cannot use the socket handed over by the service manager")]
    HandedOver(#[source] io::Error),
    /// Another user calls.
    #[error("user {caller} may not call the daemon of user {owner}")]
    ForeignUser {
        /// Who calls.
        caller: u32,
        /// Whose daemon this is.
        owner: u32,
    },
}

/// A listening socket; its file is removed when this is dropped.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Bound {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether callers find it there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == (self.device, self.inode))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.is_there() {
            // Nothing is lost when it stays: the next daemon finds that nobody answers.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path`, mode 0600, in a directory of mode 0700.
///
/// The data lock shows that no other daemon of this profile runs. Must be called within a tokio
/// runtime.
///
/// # Errors
/// [`SocketError`], never having replaced anything but a dead socket of one's own.
pub fn bind(path: &Path, _held: &Lock) -> Result<(UnixListener, Bound), SocketError> {
    if path.as_os_str().len() > MAX_SOCKET_PATH_BYTES {
        return Err(SocketError::TooLong(path.into()));
    }
    DataDir::open(path.parent().unwrap_or(Path::new(".")))?;
    clear(path)?;
    let failed = |doing| move |source| SocketError::Io { doing, path: path.into(), source };
    let listener = UnixListener::bind(path).map_err(failed("listen on"))?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed("protect"))?;
    let meta = fs::symlink_metadata(path).map_err(failed("look at"))?;
    Ok((listener, Bound { path: path.to_owned(), device: meta.dev(), inode: meta.ino() }))
}

/// Listens on a loopback port. Must be called within a tokio runtime.
///
/// # Errors
/// [`SocketError::NotLoopback`]; [`SocketError::Port`].
pub fn bind_port(address: SocketAddr) -> Result<TcpListener, SocketError> {
    if !address.ip().is_loopback() {
        return Err(SocketError::NotLoopback(address));
    }
    let failed = |source| SocketError::Port { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(listener).map_err(failed)
}

/// Removes a socket nobody answers on.
fn clear(path: &Path) -> Result<(), SocketError> {
    let failed = |doing| move |source| SocketError::Io { doing, path: path.into(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
        Ok(meta) if !is_own_socket(&meta) => return Err(SocketError::InTheWay(path.into())),
        Ok(_) => {}
    }
    match Probe::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("probe")(error)),
        Ok(_) => Err(SocketError::Answered(path.into())),
    }
}

fn is_own_socket(meta: &Metadata) -> bool {
    meta.file_type().is_socket() && meta.uid() == own_uid()
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Lets a caller in who is the user this daemon runs for. Not even root is anybody else.
///
/// # Errors
/// [`SocketError::ForeignUser`].
pub const fn same_user(caller: u32, owner: u32) -> Result<(), SocketError> {
    if caller == owner { Ok(()) } else { Err(SocketError::ForeignUser { caller, owner }) }
}

/// Asks the kernel who is at the other end; the process, where it tells.
pub(super) fn check_peer(stream: &UnixStream) -> Result<Option<i32>, SocketError> {
    let failed =
        |source| SocketError::Io { doing: "identify a caller on", path: Path::new("the socket").into(), source };
    let caller = stream.peer_cred().map_err(failed)?;
    same_user(caller.uid(), own_uid()).map(|()| caller.pid())
}
