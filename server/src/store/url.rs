//! Where the database is. Holds a password perhaps, so it never prints whole.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use chat_programs::settings::{Misfit, RawSetting, Setting};
use thiserror::Error;
use toml::Value;

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
    #[error("not a usable mysql URL: expected `mysql://USER:PASSWORD@HOST:PORT/NAME`; {ESCAPES}")]
    Url,
    /// No database in it.
    #[error("the mysql URL names no database: end it with `/NAME`; {ESCAPES}")]
    NoName,
    /// Some of the first application's variables are missing: one that is set, and those that are not.
    #[error("{0} is set, but not {1}")]
    Partial(&'static str, &'static str),
    /// `DB_HOST` is nothing to connect to.
    #[error("DB_HOST is not HOST, HOST:PORT, [IPV6]:PORT or the path of a socket")]
    Host,
    /// `DB_PORT` is no port, or another one than `DB_HOST` names.
    #[error("DB_PORT is not a port, or not the one that DB_HOST names")]
    Port,
}

/// How a URL holds what would end its parts.
pub const ESCAPES: &str = "special characters of a password are written as in `%23` for `#`, `%2F` for `/`, `%3F` for `?`, \
                           `%40` for `@`, `%25` for `%`";

/// The variables of the first application.
pub const SEED: [&str; 6] = ["DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_PASS", "DB_NAME"];

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

    /// The name of the database on its server; a file has none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
            Self::Mysql(opts) => opts.db_name(),
        }
    }

    fn shown(&self, password: &str) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite:{}", file.display()),
            Self::Mysql(opts) => {
                let place = match opts.socket() {
                    Some(socket) => socket.to_owned(),
                    None if opts.ip_or_hostname().contains(':') => {
                        format!("[{}]:{}", opts.ip_or_hostname(), opts.tcp_port())
                    }
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

    /// What the variables of the first Python application say, see [`SEED`]; `None` when none of them is set.
    ///
    /// # Errors
    /// [`DatabaseUrlError::Partial`] when one is set, but not user and name; `Host` and `Port` for one that cannot be used.
    pub fn from_seed(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, DatabaseUrlError> {
        let set = |name: &str| get(name).filter(|value| !value.is_empty());
        let Some(one) = SEED.into_iter().find(|name| set(name).is_some()) else { return Ok(None) };
        let (user, name) = match (set("DB_USER"), set("DB_NAME")) {
            // whoever names a host or a password means a database, and not a new and empty one
            (None, None) => return Err(DatabaseUrlError::Partial(one, "DB_USER and DB_NAME")),
            (Some(_), None) => return Err(DatabaseUrlError::Partial("DB_USER", "DB_NAME")),
            (None, Some(_)) => return Err(DatabaseUrlError::Partial("DB_NAME", "DB_USER")),
            (Some(user), Some(name)) => (user, name),
        };
        let host = set("DB_HOST").unwrap_or_else(|| "localhost".to_owned());
        let opts = mysql_async::OptsBuilder::default()
            .user(Some(user))
            .pass(set("DB_PASSWORD").or_else(|| set("DB_PASS")))
            .db_name(Some(name));
        if host.starts_with('/') {
            return Ok(Some(Self::Mysql(Box::new(opts.socket(Some(host)).into()))));
        }
        let (host, port) = host_and_port(&host).ok_or(DatabaseUrlError::Host)?;
        let alone = set("DB_PORT").map(|text| port_of(text.trim()).ok_or(DatabaseUrlError::Port)).transpose()?;
        if port.is_some() && alone.is_some() && port != alone {
            return Err(DatabaseUrlError::Port);
        }
        let opts = opts.ip_or_hostname(host).tcp_port(port.or(alone).unwrap_or(PORT));
        Ok(Some(Self::Mysql(Box::new(opts.into()))))
    }
}

/// Where MySQL and MariaDB listen.
const PORT: u16 = 3306;

/// `HOST`, `HOST:PORT`, or an address of IPv6, in brackets if a port follows.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let text = text.trim();
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(text) => {
            let (host, rest) = text.split_once(']').filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok())?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(|port| port_of(port).ok_or(())).transpose().ok()?;
    (!host.is_empty()).then_some((host, port))
}

fn port_of(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(file) = text.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            return if file.is_empty() { Err(DatabaseUrlError::Scheme) } else { Ok(Self::Sqlite(file.into())) };
        }
        let rest = text.strip_prefix("mysql://").or_else(|| text.strip_prefix("mariadb://"));
        let rest = rest.ok_or(DatabaseUrlError::Scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !authority.contains('@') && path.split(['?', '#']).next().is_some_and(|path| path.contains('@')) {
            // a slash of the password was taken for the end of the host
            return Err(DatabaseUrlError::Url);
        }
        let url = format!("mysql://{rest}");
        let opts = mysql_async::Opts::from_url(&url).map_err(|_| DatabaseUrlError::Url)?;
        if opts.db_name().is_none_or(str::is_empty) {
            return Err(DatabaseUrlError::NoName);
        }
        // the driver looks an address up by its bare name
        let bare = opts.ip_or_hostname().strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
        Ok(Self::Mysql(Box::new(match bare {
            Some(bare) => mysql_async::OptsBuilder::from_opts(opts).ip_or_hostname(bare).into(),
            None => opts,
        })))
    }
}

impl Setting for DatabaseUrl {
    fn read(raw: &RawSetting) -> Result<Self, Misfit> {
        let text = raw.text().ok_or(Misfit::Kind("a text"))?;
        text.parse().map_err(|error: DatabaseUrlError| Misfit::Refused(error.to_string()))
    }

    fn shown(&self) -> Option<Value> {
        Some(Value::String(self.masked()))
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

    fn seed(pairs: &[(&str, &str)]) -> Result<Option<DatabaseUrl>, DatabaseUrlError> {
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
        assert_eq!(seed(&[("DB_HOST", "db:x"), ("DB_USER", "u"), ("DB_NAME", "n")]), Err(DatabaseUrlError::Host));
    }

    #[test]
    fn any_variable_of_the_first_application_without_user_and_name_is_refused() {
        assert_eq!(seed(&[]), Ok(None));
        assert_eq!(seed(&[("DB_HOST", ""), ("DB_PASSWORD", "")]), Ok(None), "nothing is said by them");
        assert_eq!(seed(&[("DB_USER", "u")]), Err(DatabaseUrlError::Partial("DB_USER", "DB_NAME")));
        assert_eq!(seed(&[("DB_NAME", "n")]), Err(DatabaseUrlError::Partial("DB_NAME", "DB_USER")));
        for alone in ["DB_HOST", "DB_PORT", "DB_PASSWORD", "DB_PASS"] {
            let refused = seed(&[(alone, "1")]).unwrap_err();
            assert_eq!(refused.to_string(), format!("{alone} is set, but not DB_USER and DB_NAME"));
        }
    }

    #[test]
    fn host_of_the_first_application_may_have_brackets_and_a_port_of_its_own() {
        let of = |host: &'static str, port: &'static str| {
            let pairs = [("DB_HOST", host), ("DB_PORT", port), ("DB_USER", "u"), ("DB_NAME", "n")];
            let get = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            DatabaseUrl::from_seed(get).map(|url| url.unwrap().to_string())
        };
        let at = |place: &str| Ok(format!("mysql://u@{place}/n"));
        assert_eq!(of("db", "3307"), at("db:3307"));
        assert_eq!(of("db:3307", "3307"), at("db:3307"));
        assert_eq!(
            (of("::1", ""), of("[::1]", "3307"), of("[::1]:3308", "")),
            (at("[::1]:3306"), at("[::1]:3307"), at("[::1]:3308"))
        );
        assert_eq!((of("", "3307"), of("/run/m.sock", "3307")), (at("localhost:3307"), at("/run/m.sock")));
        for (host, port) in [("db", "x"), ("db", "0"), ("db", "65536"), ("db:1", "2")] {
            assert_eq!(of(host, port), Err(DatabaseUrlError::Port), "{host} {port}");
        }
        for host in ["[::1", "[db]", "[::1]3306", ":3306", "db:port", "db:0", "a:1:2"] {
            assert_eq!(of(host, ""), Err(DatabaseUrlError::Host), "{host}");
        }
    }

    #[test]
    fn passwords_that_would_end_a_part_of_the_url_are_refused_with_how_to_write_them() {
        let written: DatabaseUrl = "mysql://u:a%23b%2Fc%3Fd%40e%25@[::1]:3307/n".parse().unwrap();
        let DatabaseUrl::Mysql(opts) = &written else { panic!("{written}") };
        assert_eq!((opts.pass(), opts.ip_or_hostname(), opts.tcp_port()), (Some("a#b/c?d@e%"), "::1", 3307));
        assert_eq!(written.masked(), "mysql://u:***@[::1]:3307/n");
        for plain in ["mysql://u:a#b@h/n", "mysql://u:1/c@h/n", "mysql://u:a?d@h/n", "mysql://u:1#b@h/n"] {
            assert!(plain.parse::<DatabaseUrl>().unwrap_err().to_string().contains("`%23` for `#`"), "{plain}");
        }
    }

    #[test]
    fn sqlite_files_are_relative_to_the_data_directory() {
        let url: DatabaseUrl = "sqlite:chat.db".parse().unwrap();
        assert_eq!(url.inside(Path::new("/data")), DatabaseUrl::Sqlite("/data/chat.db".into()));
        assert_eq!("sqlite:///tmp/x.db".parse(), Ok(DatabaseUrl::Sqlite("/tmp/x.db".into())));
    }
}
