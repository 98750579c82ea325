//! Where the database is. Holds a password perhaps, so it never prints whole.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

/// A database to open.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file of the embedded database.
    Sqlite(PathBuf),
    /// A MySQL or MariaDB server.
    Mysql(Box<mysql_async::Opts>),
}

/// Text that does not say where a database is. The text is left out: it may hold a password.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DatabaseUrlError {
    /// Another scheme, or none.
    #[error("a database is `sqlite:FILE` or `mysql://USER:PASSWORD@HOST/NAME`")]
    Scheme,
    /// Not a URL the driver understands.
    #[error("not a usable mysql URL: expected `mysql://USER:PASSWORD@HOST:PORT/NAME`")]
    Url,
    /// No database in it.
    #[error("the mysql URL names no database: end it with `/NAME`")]
    NoName,
    /// Some of the first application's variables are missing.
    #[error("{0} is set but {1} is not")]
    Partial(&'static str, &'static str),
}

impl DatabaseUrl {
    /// Whether a password is part of it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Mysql(opts) if opts.pass().is_some_and(|pass| !pass.is_empty()))
    }

    /// The text with stars in place of a password.
    #[must_use]
    pub fn masked(&self) -> String {
        self.shown(if self.has_password() { ":***" } else { "" })
    }

    fn shown(&self, password: &str) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite:{}", file.display()),
            Self::Mysql(opts) => {
                let place = match opts.socket() {
                    Some(socket) => socket.to_owned(),
                    None => format!("{}:{}", opts.ip_or_hostname(), opts.tcp_port()),
                };
                let (user, name) = (opts.user().unwrap_or(""), opts.db_name().unwrap_or(""));
                format!("mysql://{user}{password}@{place}/{name}")
            }
        }
    }

    /// A relative SQLite file is meant relative to `dir`.
    #[must_use]
    pub fn inside(self, dir: &Path) -> Self {
        match self {
            Self::Sqlite(file) => Self::Sqlite(dir.join(file)),
            mysql @ Self::Mysql(_) => mysql,
        }
    }

    /// What the variables `DB_HOST DB_USER DB_PASSWORD` (or `DB_PASS`) `DB_NAME` of the first Python
    /// application say; `None` when neither user nor name is set.
    ///
    /// # Errors
    /// [`DatabaseUrlError::Partial`] when only one of user and name is set.
    pub fn from_seed(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, DatabaseUrlError> {
        let set = |name: &str| get(name).filter(|value| !value.is_empty());
        let (user, name) = match (set("DB_USER"), set("DB_NAME")) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(DatabaseUrlError::Partial("DB_USER", "DB_NAME")),
            (None, Some(_)) => return Err(DatabaseUrlError::Partial("DB_NAME", "DB_USER")),
            (Some(user), Some(name)) => (user, name),
        };
        let host = set("DB_HOST").unwrap_or_else(|| "localhost".to_owned());
        let opts = mysql_async::OptsBuilder::default()
            .user(Some(user))
            .pass(set("DB_PASSWORD").or_else(|| set("DB_PASS")))
            .db_name(Some(name));
        Ok(Some(Self::Mysql(Box::new(at_host(opts, host).into()))))
    }
}

/// `HOST`, `HOST:PORT`, or the path of a socket.
fn at_host(opts: mysql_async::OptsBuilder, host: String) -> mysql_async::OptsBuilder {
    if host.starts_with('/') {
        return opts.socket(Some(host));
    }
    match host.rsplit_once(':').map(|(name, port)| (name.to_owned(), port.parse())) {
        Some((name, Ok(port))) if !name.contains(':') => opts.ip_or_hostname(name).tcp_port(port),
        _ => opts.ip_or_hostname(host),
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(file) = text.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            return if file.is_empty() { Err(DatabaseUrlError::Scheme) } else { Ok(Self::Sqlite(file.into())) };
        }
        let rest = text.strip_prefix("mysql://").or_else(|| text.strip_prefix("mariadb://"));
        let url = format!("mysql://{}", rest.ok_or(DatabaseUrlError::Scheme)?);
        let opts = mysql_async::Opts::from_url(&url).map_err(|_| DatabaseUrlError::Url)?;
        if opts.db_name().is_none_or(str::is_empty) {
            return Err(DatabaseUrlError::NoName);
        }
        Ok(Self::Mysql(Box::new(opts)))
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(""))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(pairs: &'static [(&str, &str)]) -> Result<Option<DatabaseUrl>, DatabaseUrlError> {
        DatabaseUrl::from_seed(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn atk_62_database_urls_print_without_their_password() {
        let url: DatabaseUrl = "mysql://chat:hunter2%40@db.example:3307/chat_db".parse().unwrap();
        assert_eq!(format!("{url:?}"), "DatabaseUrl(mysql://chat@db.example:3307/chat_db)");
        assert_eq!(url.to_string(), "mysql://chat@db.example:3307/chat_db");
        assert!(url.has_password());
        assert_eq!(url.masked(), "mysql://chat:***@db.example:3307/chat_db");
        for broken in ["mysql://chat:hunter2@[/x", "postgres://chat:hunter2@db/x", "mysql://chat:hunter2@db"] {
            let error = broken.parse::<DatabaseUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn variables_of_the_first_application_name_its_database() {
        let url = seed(&[("DB_HOST", "db:3307"), ("DB_USER", "u"), ("DB_PASS", "p"), ("DB_NAME", "n")]);
        assert_eq!(url.unwrap().unwrap().to_string(), "mysql://u@db:3307/n");
        let url = seed(&[("DB_HOST", "/run/m.sock"), ("DB_USER", "u"), ("DB_PASSWORD", "p"), ("DB_NAME", "n")]);
        assert_eq!(url.unwrap().unwrap().to_string(), "mysql://u@/run/m.sock/n");
        assert_eq!(seed(&[("DB_HOST", "elsewhere")]), Ok(None));
        assert_eq!(seed(&[("DB_USER", "u")]), Err(DatabaseUrlError::Partial("DB_USER", "DB_NAME")));
    }

    #[test]
    fn sqlite_files_are_relative_to_the_data_directory() {
        let url: DatabaseUrl = "sqlite:chat.db".parse().unwrap();
        assert_eq!(url.inside(Path::new("/data")), DatabaseUrl::Sqlite("/data/chat.db".into()));
        assert_eq!("sqlite:///tmp/x.db".parse(), Ok(DatabaseUrl::Sqlite("/tmp/x.db".into())));
    }
}
