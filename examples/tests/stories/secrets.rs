//! What nobody else may find: on the disk, in the process list, at the server, on the wire.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use chat_stories::{Person, Process, Stage, binaries};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

/// Every file below a directory, with its bytes.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push((entry.path(), fs::read(entry.path()).unwrap()));
        }
    }
    found
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

fn assert_absent(found: &[(PathBuf, Vec<u8>)], canaries: &[&str]) {
    assert!(!found.is_empty(), "nothing was searched");
    for (path, bytes) in found {
        for canary in canaries {
            assert!(!contains(bytes, canary), "`{canary}` is in {}", path.display());
        }
    }
}

#[test]
fn atk_57_the_data_directory_shows_no_word_and_no_key() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let id = alice.send("@bob", "canary-in-a-private-message");
    bob.hears("@alice", "alice", "canary-in-a-private-message");
    alice.sees(&id, "delivered");
    alice.send("room:public", "canary-in-the-room");
    bob.hears("room:public", "alice", "canary-in-the-room");
    let canaries = [
        "canary-in-a-private-message",
        "canary-in-the-room",
        &alice.password.clone(),
        &bob.password.clone(),
        "BEGIN PRIVATE KEY",
        "BEGIN RSA PRIVATE KEY",
    ];
    for person in [&alice, &bob] {
        let found = files(&person.data());
        assert!(
            found.iter().any(|(_, bytes)| contains(bytes, "BEGIN ENCRYPTED PRIVATE KEY")),
            "the PEM files are there"
        );
        assert_absent(&found, &canaries);
    }
    alice.stop();
    bob.kill();
    for person in [&alice, &bob] {
        assert_absent(&files(&person.data()), &canaries);
    }
}

/// Somebody without rights, where the tests are run by root: what root runs belongs to root anyway.
const NOBODY: u32 = 65_534;

/// A program started in `home` by somebody who is not root, and who that is. It is ready once it says `ready`.
fn of_an_ordinary_user(program: Command, home: &Path, ready: &str) -> (Process, u32) {
    let (mut command, mut user) = (program, rustix::process::geteuid().as_raw());
    if user == 0 {
        user = NOBODY;
        command = nobodys(&command, home);
    }
    // a core file would be written, of any size, of a program that does not see to it
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let process = Process::start(ready, command);
    process.line(ready, |line| line.contains(ready).then_some(()));
    (process, user)
}

/// The same command as nobody's: its program where it can be reached, and its home theirs.
fn nobodys(command: &Command, home: &Path) -> Command {
    let program = home.join("program");
    fs::copy(command.get_program(), &program).unwrap();
    let mut chown = binaries::tool("chown", home);
    chown.arg("--recursive").arg(format!("{NOBODY}:{NOBODY}")).arg(home);
    let _ = Process::run("chown", chown, "").success();
    fs::set_permissions(home.parent().unwrap(), fs::Permissions::from_mode(0o711)).unwrap();
    let mut own = binaries::tool(program.to_str().unwrap(), home);
    own.args(command.get_args()).uid(NOBODY).gid(NOBODY);
    own
}

fn core_limit(process: &Process) -> [String; 2] {
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    [4, 5].map(|field| core.split_whitespace().nth(field).unwrap().to_owned())
}

/// Nothing of its memory is to be had, neither by its user nor when it dies of a fault.
fn assert_hidden((process, user): (Process, u32), home: &Path) {
    assert_eq!(core_limit(&process), ["0", "0"]);
    // files about a process whose memory is hidden are given to root, those of others to their user: proc(5)
    let owner = |file: &str| fs::metadata(format!("/proc/{}/{file}", process.id())).unwrap().uid();
    assert_eq!((owner("."), owner("environ")), (user, 0));
    process.signal(Signal::ABORT);
    assert_eq!(process.finish().code, None, "it should have died of the signal");
    let named_core = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("core");
    let cores: Vec<_> = files(home).into_iter().map(|(path, _)| path).filter(named_core).collect();
    assert!(cores.is_empty(), "{cores:?}");
}

#[test]
fn atk_57_the_memory_of_a_daemon_and_its_server_is_hidden_from_their_user_and_leaves_no_core() {
    let stage = Stage::dark();
    let (alice, home) = (stage.stranger("alice"), stage.room("alice"));
    assert_hidden(of_an_ordinary_user(alice.chatd(), &home, "ready"), &home);
    let home = stage.room("server");
    let run = stage.server.command(&["run", "--listen", "127.0.0.1:0"]);
    assert_hidden(of_an_ordinary_user(run, &home, "listening on "), &home);
}

#[test]
fn atk_62_passwords_are_in_no_argument_environment_or_log() {
    let stage = Stage::open();
    let alice = stage.member("alice");
    for id in [alice.id(), stage.server.id()] {
        for file in ["cmdline", "environ"] {
            match fs::read(format!("/proc/{id}/{file}")) {
                Ok(seen) => assert!(!contains(&seen, &alice.password), "{file}"),
                // The daemon forbids even its owner to look.
                Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{file}"),
            }
        }
    }
    for said in [alice.said(), stage.server.said()] {
        assert!(!said.contains(&alice.password), "{said}");
    }
    assert_absent(&files(&stage.server.data()), &[&alice.password]);
    let help = alice.ctl(&["register", "--help"]).success();
    assert!(!help.contains("--password "), "there is no option that takes a password itself: {help}");
}

#[test]
fn the_server_never_holds_the_words_of_a_private_message() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let id = alice.send("@bob", "canary for bob alone");
    alice.sees(&id, "delivered");
    bob.stop();
    let id = alice.send("@bob", "canary that waits for bob");
    alice.sees(&id, "accepted");
    alice.send("room:public", "anybody may read this");
    bob.start();
    bob.hears("@alice", "alice", "canary that waits for bob");
    bob.hears("room:public", "alice", "anybody may read this");
    let found = files(&stage.server.data());
    assert_absent(&found, &["canary for bob alone", "canary that waits for bob"]);
    assert!(
        found.iter().any(|(_, bytes)| contains(bytes, "anybody may read this")),
        "the room is readable by the server"
    );
    assert!(!stage.server.said().contains("canary"));
}

/// Passes bytes on between the people and the server, and keeps a copy.
struct Wiretap {
    address: String,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Wiretap {
    fn on(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (copy, server) = (Arc::clone(&heard), server.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(&server) else { return };
                pass(client.try_clone().unwrap(), upstream.try_clone().unwrap(), Arc::clone(&copy));
                pass(upstream, client, Arc::clone(&copy));
            }
        });
        Self { address, heard }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, copy: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(bytes @ 1..) = from.read(&mut buffer) {
            copy.lock().unwrap().extend_from_slice(&buffer[..bytes]);
            if to.write_all(&buffer[..bytes]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[test]
fn the_wire_shows_no_word_no_name_and_no_password() {
    let stage = Stage::open();
    let tap = Wiretap::on(stage.server.address());
    let invite = stage.server.invite().replace(stage.server.address(), &tap.address);
    let through_the_tap = |name: &str| -> Person {
        let mut person = stage.newcomer(name);
        let _ = person.enter("register", &invite).success();
        person.turns("online");
        person
    };
    let (mut alice, mut bob) = (through_the_tap("alice-on-the-wire"), through_the_tap("bob-on-the-wire"));
    let id = alice.send(&bob.at(), "canary in private");
    bob.hears(&alice.at(), alice.name(), "canary in private");
    alice.sees(&id, "delivered");
    bob.send("room:public", "canary in public");
    alice.hears("room:public", bob.name(), "canary in public");
    let heard = tap.heard.lock().unwrap();
    assert!(contains(&heard, "CHAT") && heard.len() > 4096, "the tap heard the conversation");
    for canary in ["canary", "on-the-wire", "likes long passwords"] {
        assert!(!contains(&heard, canary), "`{canary}` went over the wire");
    }
}
