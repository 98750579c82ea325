//! The socket as a file: who may call, and what is never replaced.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use chatd::dirs::{DataDir, Lock};
use chatd::rpc::{SocketError, bind, same_user};

struct Place {
    dir: tempfile::TempDir,
    lock: Lock,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lock = DataDir::open(&dir.path().join("data")).unwrap().lock().unwrap();
        Self { dir, lock }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("run/chat.sock")
    }

    fn refusal(&self) -> String {
        bind(&self.socket(), &self.lock).map(drop).unwrap_err().to_string()
    }
}

fn mode(path: &std::path::Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn atk_59_another_user_is_refused_even_root() {
    assert!(same_user(1000, 1000).is_ok());
    for (caller, owner) in [(1001, 1000), (0, 1000), (1000, 0)] {
        assert!(matches!(same_user(caller, owner), Err(SocketError::ForeignUser { .. })));
    }
}

#[tokio::test]
async fn atk_63_the_socket_and_its_directory_are_nobody_elses() {
    let place = Place::new();
    let (_listener, bound) = bind(&place.socket(), &place.lock).unwrap();
    assert_eq!((mode(&place.socket()), mode(place.socket().parent().unwrap())), (0o600, 0o700));
    drop(bound);
    assert!(!place.socket().exists());
}

#[tokio::test]
async fn atk_63_links_foreign_things_and_open_directories_are_refused_with_the_fix() {
    let place = Place::new();
    fs::create_dir(place.dir.path().join("real")).unwrap();
    symlink(place.dir.path().join("real"), place.dir.path().join("run")).unwrap();
    assert!(place.refusal().contains("symbolic link"), "{}", place.refusal());

    let place = Place::new();
    let run = place.dir.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(place.refusal().contains("chmod 700"), "{}", place.refusal());

    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(place.socket(), "precious").unwrap();
    assert!(place.refusal().contains("mv "), "{}", place.refusal());
    assert_eq!(fs::read_to_string(place.socket()).unwrap(), "precious");

    fs::remove_file(place.socket()).unwrap();
    symlink("/nonexistent", place.socket()).unwrap();
    assert!(place.refusal().contains("not a socket of yours"), "{}", place.refusal());
}

#[tokio::test]
async fn a_socket_left_by_a_crash_is_replaced_and_one_that_answers_is_not() {
    let place = Place::new();
    let (listener, bound) = bind(&place.socket(), &place.lock).unwrap();
    let answered = bind(&place.socket(), &place.lock).map(drop);
    assert!(matches!(answered, Err(SocketError::Answered(_))));

    drop(listener);
    std::mem::forget(bound);
    assert!(place.socket().exists());
    assert!(bind(&place.socket(), &place.lock).is_ok());
}

#[tokio::test]
async fn a_path_the_system_cannot_hold_is_refused_in_words() {
    let place = Place::new();
    let path = place.dir.path().join("data").join("x".repeat(120));
    assert!(bind(&path, &place.lock).map(drop).unwrap_err().to_string().contains("--socket"));
}
