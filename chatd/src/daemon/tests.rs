//! What needs a store that is never found whole.

use chat_protocol::rpc::Handle;
use chat_protocol::rpc::types::{AccountStatus, DaemonInfo};

use super::*;
use crate::store::Unlock;

#[tokio::test]
async fn a_daemon_starts_and_answers_while_its_store_is_looked_over() {
    let outer = tempfile::tempdir().unwrap();
    let dir = DataDir::open(&outer.path().join("data")).unwrap();
    let store = Store::open(&dir, &Unlock::KeyFile(dir.file("key"))).unwrap().never_checked();
    let (profile, socket) = ("test".to_owned(), watch::channel(PathBuf::from("unused")).1);
    let setup = Setup { profile, dir, socket, import_key: None, timing: Timing::default() };
    let daemon = Daemon::start(setup, Arc::new(store)).unwrap();
    assert_eq!(Handle::handle(&*daemon, DaemonInfo {}).await.unwrap().profile, "test");
    assert!(Handle::handle(&*daemon, AccountStatus {}).await.is_ok());
    assert!(daemon.lives().await);
}
