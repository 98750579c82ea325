//! The fake daemon on a socket and a port of its own.

use super::*;

/// A served socket; it ends with this value.
pub struct Served {
    pub fake: Arc<Fake>,
    pub path: PathBuf,
    /// The same over HTTP.
    pub port: SocketAddr,
    pub task: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.fake.stop.cancel();
    }
}

/// Serves a fake on a socket of its own; it listens once this returns.
pub fn serve() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let path = data.join("chat.sock");
    let lock = DataDir::open(&data).unwrap().lock().unwrap();
    let (listener, bound) = chatd::rpc::bind(&path, &lock).unwrap();
    let fake = Fake::new();
    let (api, stop) = (Arc::clone(&fake), fake.stop.clone());
    let web = chatd::rpc::bind_port(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let port = web.local_addr().unwrap();
    let policy = Policy { hosts: vec!["chat.test".to_owned()], origins: vec!["https://pages.test".to_owned()] };
    let server = Server::new(api, stop);
    let task = tokio::spawn(async move {
        tokio::join!(server.clone().socket(listener), server.port(web, watch::channel(policy).1));
        drop((bound, lock));
    });
    Served { fake, path, port, task, _dir: dir }
}
