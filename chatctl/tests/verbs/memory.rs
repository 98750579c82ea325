//! What chatctl holds in its memory is nobody else's to see.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

/// Somebody without rights, where the tests are run by root.
const NOBODY: u32 = 65_534;

/// The system gives files about a process whose memory is hidden to root, and those of others to their user: proc(5).
#[test]
fn no_debugger_of_the_same_user_reads_the_memory_of_chatctl() {
    let room = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let (socket, program) = (room.path().join("socket"), room.path().join("chatctl"));
    // by a process of its own: a test beside this one may start a program just now, which would have the file open for writing
    // too, and what is written cannot be executed
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_chatctl")).arg(&program).status().unwrap();
    assert!(copied.success());
    let listener = UnixListener::bind(&socket).unwrap();
    open(room.path(), 0o755);
    open(&program, 0o755);
    open(&socket, 0o777);
    let mut command = Command::new(&program);
    command.args(["status", "--socket"]).arg(&socket).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut user = rustix::process::geteuid().as_raw();
    if user == 0 {
        user = NOBODY;
        std::os::unix::process::CommandExt::uid(&mut command, user);
    }
    let mut child = command.spawn().unwrap();
    // it calls, and waits for an answer that does not come
    let _call = listener.accept().unwrap();
    let owner = |file: &str| std::fs::metadata(format!("/proc/{}/{file}", child.id())).unwrap().uid();
    let owners = (owner("."), owner("environ"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(owners, (user, 0));
}
