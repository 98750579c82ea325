//! Where the daemon is: from options and variables, else from the file the daemon itself reads.
//!
//! The rules are `chat_protocol`'s; only the reading is done here. A file that somebody else may change is refused:
//! it would decide who gets the passwords.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chat_protocol::rpc::paths::{Given, Paths, PathsError};

use crate::cli::Options;
use crate::error::Failure;

/// Longest configuration file the daemon reads.
const MAX_BYTES: u64 = 64 * 1024;

/// Finds the places of the profile.
pub(crate) fn find(options: &Options) -> Result<Paths, Failure> {
    let homes = directories::BaseDirs::new();
    let given = Given {
        profile: options.profile.clone(),
        data_dir: options.data_dir.clone(),
        socket: options.socket.clone(),
        runtime_home: std::env::var_os("XDG_RUNTIME_DIR").map(Into::into),
        data_home: homes.as_ref().map(|homes| homes.data_dir().to_owned()),
        config_home: homes.as_ref().map(|homes| homes.config_dir().to_owned()),
        home: homes.as_ref().map(|homes| homes.home_dir().to_owned()),
    };
    with_file(given, options.config.as_deref())?.resolve().map_err(usage)
}

/// A place that was named leaves nothing to be asked of the file.
fn with_file(given: Given, named: Option<&Path>) -> Result<Given, Failure> {
    if given.socket.is_some() || given.data_dir.is_some() {
        return Ok(given);
    }
    let Some(path) = named.map(PathBuf::from).or(given.config_file().map_err(usage)?) else { return Ok(given) };
    let text = match read(&path) {
        Err(Failure::Io(error)) if error.kind() == io::ErrorKind::NotFound && named.is_none() => return Ok(given),
        Err(Failure::Io(error)) => return Err(unusable(&path, error.to_string(), "name another with --config")),
        read => read?,
    };
    given.or_in_file(&text).map_err(|error| unusable(&path, error.to_string(), "`chatd config` says more"))
}

fn read(path: &Path) -> Result<String, Failure> {
    let file = File::open(path)?;
    if file.metadata()?.mode() & 0o022 != 0 {
        let hint = format!("fix it with `chmod go-w {}`", path.display());
        return Err(unusable(path, "it can be changed by others".to_owned(), &hint));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn unusable(path: &Path, why: String, hint: &str) -> Failure {
    Failure::Input { what: path.display().to_string(), why, hint: hint.to_owned() }
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn usage(why: PathsError) -> Failure {
    Failure::Usage(why.to_string())
}
