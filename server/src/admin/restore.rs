//! `restore FILE`, `restore -`: a server out of a backup, whatever database it was made from.
//!
//! In this order: the archive is verified, then the place is looked at, then the rows go in, in one
//! transaction, then the files; `server.key` comes last, because with it there is a server.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use chat_programs::named::is_standard;
use chat_programs::private::directory;
use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::handshake::ServerKey;
use serde_json::json;
use zeroize::Zeroizing;

use super::home::{self, Home, SECRET_KEY, SERVER_KEY, SETTINGS};
use super::output::{Done, object, talk};
use super::progress::Progress;
use crate::archive::reader::{Reader, STANDARD_INPUT};
use crate::archive::{ArchiveError, FILES};
use crate::failure::{Exit, Failure};
use crate::store::copy::{Filling, floor_at};
use crate::{clock, private};

pub(super) async fn restore(home: &Home, place: &Path, force: bool) -> Done {
    let archive = if is_standard(place) { from_input()? } else { Reader::open(place).map_err(unread)? };
    check_keys(&archive)?;
    directory(&home.dir)?;
    let _lock = home::lock(&home.dir)?;
    let files = Files::plan(home, &archive, force)?;
    fill(home, &archive, force).await?;
    files.write()?;
    tell(home, &archive)
}

/// A file that cannot be read is no backup; nothing was to be made of it.
fn unread(error: ArchiveError) -> Failure {
    let words = error.to_string();
    match error {
        ArchiveError::Io { source, .. } => Failure::new(Exit::Data, words)
            .because(source)
            .hint("nothing was changed; name a file that `chat-server backup` made"),
        other => other.into(),
    }
}

fn from_input() -> Result<Reader, Failure> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err(
            Failure::new(Exit::Usage, "a backup is not typed").hint("as in `age -d FILE | chat-server restore -`")
        );
    }
    let input = input.as_fd().try_clone_to_owned();
    let input = input.map_err(|error| Failure::new(Exit::Data, "cannot read standard input").because(error))?;
    Ok(Reader::read(input.into(), Path::new(STANDARD_INPUT))?)
}

/// Keys that could not be used are found before anything is written.
fn check_keys(archive: &Reader) -> Done {
    let text = |name: &str| archive.files.get(name).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("");
    let server = ServerKey::from_text(text(SERVER_KEY)).is_ok();
    let secret = FernetKey::from_base64(text(SECRET_KEY).trim().as_bytes()).is_ok();
    let damaged = |name: &str| Err(ArchiveError::Damaged(name.to_owned()).into());
    if !server {
        return damaged(SERVER_KEY);
    }
    if secret { Ok(()) } else { damaged(SECRET_KEY) }
}

/// What becomes of the files of the data directory.
struct Files {
    /// Of another server: moved aside.
    aside: Vec<(PathBuf, PathBuf)>,
    made: Vec<(PathBuf, Zeroizing<Vec<u8>>)>,
}

impl Files {
    fn plan(home: &Home, archive: &Reader, force: bool) -> Result<Self, Failure> {
        let mut files = Self { aside: Vec::new(), made: Vec::new() };
        // the server key last
        for name in FILES.iter().rev() {
            let (path, wanted) = (home.path(name), archive.files.get(*name));
            let there = if path.exists() { Some(private::read(&path)?) } else { None };
            match (there, wanted) {
                (Some(_), _) if *name == SETTINGS => talk(&format!("Keeping the {SETTINGS} that is there")),
                (Some(there), Some(wanted)) if there.as_slice() == wanted.as_slice() => {}
                (Some(_), _) if !force => return Err(occupied(home, name)),
                (there, wanted) => {
                    files.aside.extend(there.map(|_| (path.clone(), home.path(&format!("{name}.before-restore")))));
                    files.made.extend(wanted.map(|wanted| (path, wanted.clone())));
                }
            }
        }
        match files.aside.iter().find(|(_, aside)| aside.exists()) {
            Some((_, aside)) => Err(Failure::new(Exit::CannotCreate, format!("{} exists already", aside.display()))),
            None => Ok(files),
        }
    }

    fn write(&self) -> Done {
        for (path, aside) in &self.aside {
            let moved = std::fs::rename(path, aside);
            moved.map_err(|error| {
                Failure::new(Exit::CannotCreate, format!("cannot move {}", path.display())).because(error)
            })?;
            talk(&format!("What was in {} is in {}", path.display(), aside.display()));
        }
        Ok(self.made.iter().try_for_each(|(path, contents)| private::create(path, contents))?)
    }
}

fn occupied(home: &Home, name: &str) -> Failure {
    Failure::new(Exit::CannotCreate, format!("{} is of another server", home.path(name).display()))
        .hint("restore into an empty directory: `--data DIR`; or, to give up the server that is there, `--force`")
}

async fn fill(home: &Home, archive: &Reader, force: bool) -> Done {
    let settings = archive.files.get(SETTINGS).and_then(|text| std::str::from_utf8(text).ok());
    let config = home.config_or(settings.unwrap_or_default())?;
    let url = home.checked_database(&config)?;
    let (mut filling, used) = Filling::begin(&url).await?;
    if used && !force {
        let words = format!("the database {url} is not empty");
        let hint = "name an empty one: `--database URL`; or, to lose what is in it, `--force`";
        return Err(Failure::new(Exit::CannotCreate, words).hint(hint));
    }
    if used {
        talk(&format!("Everything in {url} is replaced"));
    }
    filling.clear().await?;
    let (mut progress, mut rows, mut done) = (Progress::new(), archive.rows()?, 0);
    while let Some(batch) = rows.recv().await {
        let (table, batch) = batch?;
        done += batch.len() as u64;
        filling.insert(table, batch).await?;
        progress.rows(table.name, done);
    }
    drop(progress);
    Ok(filling.finish(floor_at(clock::now().as_millis())).await?)
}

fn tell(home: &Home, archive: &Reader) -> Done {
    let count = |table: &str| archive.rows.get(table).copied().unwrap_or(0);
    let (accounts, mail, posts) = (count("chat_app"), count("mail"), count("room_post"));
    if home.json {
        let made = archive.manifest.made_ms;
        return object(&json!({ "made_ms": made, "accounts": accounts, "messages": mail, "posts": posts }));
    }
    talk(&format!("Restored: {accounts} accounts, {mail} waiting messages, {posts} posts in the room"));
    talk("What happened after the backup was made is gone: README.md, \"After a restore\", says what that means");
    Ok(())
}
