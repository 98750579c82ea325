//! Where the first application kept its settings: the environment, and a `.env` file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::dotenv::Dotenv;
use crate::failure::{Exit, Failure};
use crate::store::SEED;

/// More than any such file has.
const MAX_BYTES: u64 = 1024 * 1024;

/// Looks up one of the first application's variables: in the environment, then in the `.env` file of the working
/// directory, then in that of the data directory.
pub(super) fn variables(data: &Path) -> Result<impl Fn(&str) -> Option<String> + use<>, Failure> {
    let here = Path::new(".env");
    let first = read(here, environment)?;
    let by_first = move |name: &str| environment(name).or_else(|| first.get(name).map(str::to_owned));
    let there = data.join(".env");
    let same = here.canonicalize().is_ok_and(|here| there.canonicalize().is_ok_and(|there| here == there));
    let second = if same { Dotenv::default() } else { read(&there, &by_first)? };
    Ok(move |name: &str| by_first(name).or_else(|| second.get(name).map(str::to_owned)))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read(path: &Path, known: impl Fn(&str) -> Option<String>) -> Result<Dotenv, Failure> {
    // a pipe is one too: some keep such files in a vault
    if !path.metadata().is_ok_and(|there| !there.is_dir()) {
        return Ok(Dotenv::default());
    }
    let mut file = Vec::new();
    File::open(path).and_then(|opened| opened.take(MAX_BYTES).read_to_end(&mut file)).map_err(|error| {
        Failure::new(Exit::Config, format!("cannot read {}", path.display()))
            .because(error)
            .hint("name the database with `--database`, or in server.toml: then this file is not asked")
    })?;
    let found = Dotenv::read(&file, &known);
    for unread in found.unread() {
        let (line, path) = (unread.line, path.display());
        let needed = unread.name.as_deref().filter(|name| SEED.contains(name));
        match needed.filter(|name| known(name).is_none() && found.get(name).is_none()) {
            Some(name) => {
                let words = format!("{path}, line {line}: {name} cannot be read");
                return Err(Failure::new(Exit::Config, words)
                    .hint("a value in quotes ends with the same quote, and only a comment follows it"));
            }
            None => tracing::warn!(%path, line, "this line is not NAME=VALUE and is left out"),
        }
    }
    Ok(found)
}
