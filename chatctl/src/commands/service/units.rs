//! The unit files of this user: written where none are, and taken away if they are ours.
//!
//! Their text is chatd's own, in `chatd/dist`: what `make install` puts in place for everybody.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chat_protocol::rpc::paths::DEFAULT_PROFILE;
use chat_protocol::rpc::{Kind, RpcError};

use crate::error::{Failure, OfFile};

const SERVICE: (&str, &str) = ("chatd.service", include_str!("../../../../chatd/dist/chatd.service"));
const TEMPLATE: (&str, &str) = ("chatd@.service", include_str!("../../../../chatd/dist/chatd@.service"));
const SOCKET: (&str, &str) = ("chatd.socket", include_str!("../../../../chatd/dist/chatd.socket"));

/// First line of a file that is ours.
const MARK: &str = "# Written by `chatctl service install`; `chatctl service uninstall` takes it away.";
/// What stands for the program in the texts.
const PROGRAM: &str = "@BINDIR@/chatd";

/// Where the user's units are.
pub(super) fn directory() -> Result<PathBuf, Failure> {
    let homes = directories::BaseDirs::new();
    let config = homes.map(|homes| homes.config_dir().join("systemd/user"));
    config.ok_or_else(|| Failure::Usage("there is no home directory for a user's service".to_owned()))
}

/// The directory of the user's units.
pub(super) struct Units(PathBuf);

impl Units {
    pub(super) fn of_user() -> Result<Self, Failure> {
        directory().map(Self)
    }

    /// Writes the units of a profile; returns the files.
    pub(super) fn write(&self, profile: &str, socket: bool, chatd: Option<&Path>) -> Result<Vec<String>, Failure> {
        let program = quoted(&program(chatd)?)?;
        let service = if profile == DEFAULT_PROFILE { SERVICE } else { TEMPLATE };
        let wanted: Vec<_> = [service].into_iter().chain(socket.then_some(SOCKET)).collect();
        // Before the first is written, so that nothing is left half done.
        wanted.iter().try_for_each(|(name, _)| self.is_free(name))?;
        fs::create_dir_all(&self.0)?;
        let write = |(name, text): &(&str, &str)| {
            let path = self.0.join(name);
            replace(&path, &format!("{MARK}\n{}", text.replace(PROGRAM, &program)))?;
            Ok(path.display().to_string())
        };
        wanted.iter().map(write).collect()
    }

    /// Removes the units of a profile that are ours; returns the files.
    pub(super) fn remove(&self, profile: &str) -> Result<Vec<String>, Failure> {
        let names: &[&str] = match profile {
            DEFAULT_PROFILE => &[SOCKET.0, SERVICE.0],
            _ if self.is_shared()? => &[],
            _ => &[TEMPLATE.0],
        };
        let mut removed = Vec::new();
        for path in names.iter().map(|name| self.0.join(name)) {
            if is_ours(&path)? == Some(true) {
                fs::remove_file(&path)?;
                removed.push(path.display().to_string());
            }
        }
        Ok(removed)
    }

    /// Whether there is nothing, or something of ours.
    fn is_free(&self, name: &str) -> Result<(), Failure> {
        let path = self.0.join(name);
        if is_ours(&path)? != Some(false) {
            return Ok(());
        }
        let refusal = RpcError::new(Kind::Conflict, format!("{} was not written by chatctl", path.display()));
        let hint = format!("use it with `systemctl --user enable --now {name}`, or move it away");
        Err(Failure::Refused(refusal.with_hint(hint)))
    }

    /// Whether another profile still uses the template.
    fn is_shared(&self) -> Result<bool, Failure> {
        let entries = match fs::read_dir(self.0.join("default.target.wants")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            entries => entries?,
        };
        for entry in entries {
            if entry?.file_name().to_string_lossy().starts_with("chatd@") {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a file is ours; `None` if there is none.
fn is_ours(path: &Path) -> Result<Option<bool>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.starts_with(MARK))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(false)),
        Err(error) => Err(error.into()),
    }
}

/// Puts a file in place at once: systemd never reads half of it.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(fs::rename(new, path)?)
}

/// The chatd that was named, else the one beside this program, else the first in PATH.
fn program(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("chatd"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|directory| directory.join("chatd"));
    let found = match named {
        Some(named) => Some(std::path::absolute(named)?).filter(|path| path.is_file()),
        None => beside.into_iter().chain(in_path).find(|path| path.is_file()),
    };
    found.ok_or_else(|| {
        Failure::Input(OfFile {
            what: named.map_or_else(|| "chatd".to_owned(), |named| named.display().to_string()),
            why: "there is no such program".to_owned(),
            hint: "say where it is: --chatd FILE".to_owned(),
        })
    })
}

/// The program as systemd.service(5) wants it written.
fn quoted(program: &Path) -> Result<String, Failure> {
    let refuse = |why: &str| {
        let hint = "move it to a place with a plain name".to_owned();
        Failure::Input(OfFile { what: program.display().to_string(), why: why.to_owned(), hint })
    };
    let text = program.to_str().ok_or_else(|| refuse("its name is not UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(refuse("its name has control characters"));
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    Ok(if escaped.contains([' ', '"', '\'', ';']) { format!("\"{escaped}\"") } else { escaped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_names_the_program_once_or_not_at_all() {
        for ((name, text), times) in [(SERVICE, 1), (TEMPLATE, 1), (SOCKET, 0)] {
            assert_eq!(text.matches(PROGRAM).count(), times, "{name}");
            assert_eq!(text.matches("@BINDIR@").count(), times, "{name}");
        }
    }

    #[test]
    fn atk_the_way_to_the_program_is_never_more_than_a_way() {
        let told = |path: &str| quoted(Path::new(path)).ok();
        assert_eq!(told("/usr/bin/chatd").as_deref(), Some("/usr/bin/chatd"));
        assert_eq!(told("/home/a b/50%/$x/chatd").as_deref(), Some("\"/home/a b/50%%/$$x/chatd\""));
        assert_eq!(told("/a\nExecStart=/bin/evil"), None);
    }
}
