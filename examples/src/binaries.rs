//! Finds the programs under test, and runs them in an environment of our making.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory the programs were built into: where this program itself is, unless `CHAT_BIN_DIR` says else.
#[must_use]
pub fn directory() -> PathBuf {
    if let Some(dir) = std::env::var_os("CHAT_BIN_DIR") {
        return dir.into();
    }
    let own = std::env::current_exe().expect("the program's own path");
    let beside = own.parent().expect("a program is in a directory");
    // tests are one below the programs
    if beside.ends_with("deps") { beside.parent().expect("deps has a parent").to_owned() } else { beside.to_owned() }
}

/// Top of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("examples/ is in the repository").to_owned()
}

/// A command that runs one of our programs, `chat-server`, `chatd` or `chatctl`.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn program(name: &str, home: &Path) -> Command {
    let path = directory().join(name);
    assert!(path.is_file(), "{} is missing: run `make test`, or `cargo build --workspace --bins`", path.display());
    in_own_world(Command::new(path), home)
}

/// A command that runs a script of `examples/`.
#[must_use]
pub fn script(name: &str, home: &Path) -> Command {
    in_own_world(Command::new(repository().join("examples").join(name)), home)
}

/// The Python whose libraries the tests compare ours with.
///
/// # Panics
/// If it was not installed.
#[must_use]
pub fn python(home: &Path) -> Command {
    let path =
        std::env::var_os("CHAT_PYTHON").map_or_else(|| repository().join("target/python/bin/python"), PathBuf::from);
    assert!(path.is_file(), "{} is missing: run `make test-setup`", path.display());
    in_own_world(Command::new(path), home)
}

/// A command that runs a program of the system.
#[must_use]
pub fn tool(name: &str, home: &Path) -> Command {
    in_own_world(Command::new(name), home)
}

/// A Python that can open windows: `CHAT_TK_PYTHON`, or the first on the search path that has tkinter.
///
/// Several may be there: one that was built without it is often in front of the system's own.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn python_with_tk(home: &Path) -> Command {
    if let Some(path) = std::env::var_os("CHAT_TK_PYTHON") {
        return in_own_world(Command::new(path), home);
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    let found =
        std::env::split_paths(&search).chain(usual).map(|dir| dir.join("python3")).find(|path| has_tk(path, home));
    let path = found.expect("no python3 here has tkinter: run `make test-setup`");
    in_own_world(Command::new(path), home)
}

fn has_tk(python: &Path, home: &Path) -> bool {
    let mut command = in_own_world(Command::new(python), home);
    command.args(["-c", "import tkinter"]).output().is_ok_and(|output| output.status.success())
}

/// Makes a program see another time than it is, as far as libfaketime can: its timers stay right. By how much stands in a
/// file, which may change while it runs.
///
/// # Panics
/// If that is not installed.
pub fn shift_clock(command: &mut Command, offset: &Path) {
    let libraries = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let library = libraries.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    let library = library.expect("libfaketime is missing: run `make test-setup`");
    command.env("LD_PRELOAD", library).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.env("FAKETIME_TIMESTAMP_FILE", offset).env("FAKETIME_NO_CACHE", "1");
}

/// Writes down by how much the clock is wrong of programs in `home`, as `+10y` or `-61s`; where that stands, for
/// [`shift_clock`].
///
/// # Panics
/// If that cannot be written down.
#[must_use]
pub fn set_clock(home: &Path, offset: &str) -> PathBuf {
    let (clock, next) = (home.join("clock"), home.join("clock.next"));
    // whole, since a program may read it at any moment
    std::fs::write(&next, offset).and_then(|()| std::fs::rename(&next, &clock)).expect("a clock");
    clock
}

/// Takes the tester's environment away, but for the search path: no profile, database or home of theirs is touched.
fn in_own_world(mut command: Command, home: &Path) -> Command {
    command.env_clear().env("HOME", home).env("TMPDIR", home).current_dir(home);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", directory().display()));
    command
}
