//! Where the daemon is: from options and variables, else from the file the daemon itself reads, and then where the one
//! that runs says it is, in its data directory: it may have been started in another environment, as from cron or `su`.
//!
//! The rules are `chat_protocol`'s, and a file is read as the daemon reads it: one that somebody else may change is
//! refused, since it would decide who gets the passwords.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use chat_programs::private::{self, FileError, Quoted, is_own_directory};
use chat_programs::settings::Source;
use chat_protocol::rpc::paths::{Given, LOCK, MAX_SIGN_BYTES, Paths, PathsError, SOCKET_SIGN, told_socket};

use crate::cli::Options;
use crate::error::{Failure, OfFile};

const SAYS_MORE: &str = "`chatd config` says more";

/// Finds the places of the profile. A socket that was named is taken as it is.
pub(crate) fn find(options: &Options) -> Result<Paths, Failure> {
    let homes = directories::BaseDirs::new();
    let given = Given {
        profile: options.profile.clone(),
        data_dir: options.data_dir.clone(),
        socket: options.socket.clone(),
        runtime_home: runtime_home().filter(|home| is_own_directory(home)),
        data_home: homes.as_ref().map(|homes| homes.data_dir().to_owned()),
        config_home: homes.as_ref().map(|homes| homes.config_dir().to_owned()),
        home: homes.as_ref().map(|homes| homes.home_dir().to_owned()),
    };
    let paths = with_file(given, options.config.as_deref())?.resolve().map_err(usage)?;
    let told = if options.socket.is_some() { None } else { told(&paths.data_dir) };
    Ok(Paths { socket: told.unwrap_or(paths.socket), ..paths })
}

/// Where the environment says that sockets are; `su` leaves that of another user behind.
pub(crate) fn runtime_home() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR").map(Into::into)
}

/// Where the daemon that runs on this data says it is.
fn told(data: &Path) -> Option<PathBuf> {
    let sign = own_text(&data.join(SOCKET_SIGN))?;
    // one that a daemon left when it was killed leads nowhere
    told_socket(sign.as_bytes())
        .filter(|socket| fs::symlink_metadata(socket).is_ok_and(|meta| meta.file_type().is_socket()))
}

/// Why nobody answers, and what helps, if it is not that the daemon has to be started. A daemon that is looked for by a
/// socket has no namesake.
pub(crate) fn help(paths: &Paths, by_socket: bool) -> Option<String> {
    let data = Quoted::from(paths.data_dir.as_path());
    match fs::metadata(&paths.data_dir) {
        Ok(meta) if meta.uid() != me() => {
            let owner = meta.uid();
            return Some(format!(
                "{data} belongs to user {owner}; call as that user: `sudo -u '#{owner}' chatctl ...`"
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Some(format!("{data} is another user's; `su -` or `sudo -i` takes a user's own environment along"));
        }
        _ => {}
    }
    if let Some(process) = running(&paths.data_dir) {
        // a socket that was named is not the only one there may be
        if let Some(socket) = told(&paths.data_dir).filter(|socket| *socket != paths.socket) {
            return Some(format!(
                "chatd runs as process {process} and answers elsewhere: `chatctl --socket {} status`",
                Quoted::from(socket.as_path())
            ));
        }
        return Some(format!(
            "chatd runs as process {process}, but not with a socket there; it makes a new one within seconds, and else: \
             `kill {process}`, then start it again"
        ));
    }
    if let Some((process, data)) = namesake(paths).filter(|_| !by_socket) {
        let data = Quoted::from(data.as_path());
        return Some(format!(
            "chatd of this profile runs as process {process} with other data, as after another XDG_DATA_HOME: \
             `chatctl --data-dir {data} status`"
        ));
    }
    let usual = PathBuf::from(format!("/run/user/{}/chatd/{}.sock", me(), paths.profile));
    if usual != paths.socket && usual.exists() {
        return Some(format!(
            "a chatd with other data answers elsewhere: `chatctl --socket {} status`",
            usual.display()
        ));
    }
    let caller = std::env::var("SUDO_USER").ok().filter(|caller| caller != "root" && me() == 0)?;
    Some(format!("this is root's; that of {caller} is called without sudo"))
}

/// The process that the lock names, if it is one of chatd.
fn running(data: &Path) -> Option<u32> {
    let process: u32 = own_text(&data.join(LOCK))?.trim().parse().ok()?;
    is_chatd(process).then_some(process)
}

/// Whether a process of chatd has that number, and lives: one that nobody waited for has ended, and still has its name.
fn is_chatd(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
    name.is_some_and(|(name, rest)| name == "chatd" && !rest.trim_start().starts_with(['Z', 'X']))
}

/// A chatd of this user and profile whose data are elsewhere: it holds the lock there. Where the data were named, that is
/// another matter. What another user's processes hold open is not shown to us.
fn namesake(paths: &Paths) -> Option<(u32, PathBuf)> {
    let usual = Path::new("chatd").join(&paths.profile);
    if !paths.data_dir.ends_with(&usual) {
        return None;
    }
    let all = fs::read_dir("/proc").ok()?.flatten();
    let chatds = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|process| is_chatd(*process));
    chatds.filter_map(|process| Some((process, data_of(process)?))).find(|(_, data)| data.ends_with(&usual))
}

fn data_of(process: u32) -> Option<PathBuf> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).ok()?.flatten();
    let mut locks = open.filter_map(|file| fs::read_link(file.path()).ok()).filter(|path| path.ends_with(LOCK));
    locks.find_map(|lock| lock.parent().filter(|data| running(data) == Some(process)).map(PathBuf::from))
}

/// A short file that is this user's alone.
fn own_text(path: &Path) -> Option<String> {
    let bytes = private::read(path, MAX_SIGN_BYTES).ok()?;
    str::from_utf8(&bytes).ok().map(str::to_owned)
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A place that was named leaves nothing to be asked of the file.
fn with_file(given: Given, named: Option<&Path>) -> Result<Given, Failure> {
    if given.socket.is_some() || given.data_dir.is_some() {
        return Ok(given);
    }
    let Some(path) = named.map(PathBuf::from).or(given.config_file().map_err(usage)?) else { return Ok(given) };
    let bytes = match private::read_trusted(&path, Source::MAX_BYTES) {
        Err(error) if error.is_missing() && named.is_none() => return Ok(given),
        read => read.map_err(|error| not_read(&path, &error))?,
    };
    let source = Source::new(&path, &bytes).map_err(|error| unusable(&path, &error.to_string(), SAYS_MORE))?;
    given.or_in_file(&source.text).map_err(|error| unusable(&path, &error.to_string(), SAYS_MORE))
}

fn not_read(path: &Path, error: &FileError) -> Failure {
    let told = error.to_string();
    match (error, told.split_once("; ")) {
        (FileError::NotPrivate(_), Some((why, hint))) => Failure::Open(of_file(path, why, hint)),
        (FileError::Io { source, .. }, _) => unusable(path, &source.to_string(), "name another with --config"),
        _ => unusable(path, &told, "name another with --config"),
    }
}

fn unusable(path: &Path, why: &str, hint: &str) -> Failure {
    Failure::Input(of_file(path, why, hint))
}

fn of_file(path: &Path, why: &str, hint: &str) -> OfFile {
    OfFile { what: path.display().to_string(), why: why.to_owned(), hint: hint.to_owned() }
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn usage(why: PathsError) -> Failure {
    Failure::Usage(why.to_string())
}
