//! Settings of a running server: read at every use, replaced as a whole.

use std::sync::{Arc, PoisonError, RwLock};

use chat_programs::settings::{self, Effect, Origins, Part};

use super::Config;

/// A value that is replaced now and then; whoever has read it keeps what was read.
#[derive(Debug)]
pub struct Live<T>(RwLock<Arc<T>>);

impl<T> Live<T> {
    /// Begins with this value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// The value as it is now.
    #[must_use]
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces it for everybody who reads it from now on.
    pub fn replace(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

/// What becomes of settings that were read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is used from now on.
    pub config: Config,
    /// Keys that changed.
    pub applied: Vec<String>,
    /// Keys that would change, and keep their value until the server is started again.
    pub kept: Vec<String>,
}

impl Config {
    /// What a running server makes of settings that were read again: what it was built with stays.
    #[must_use]
    pub fn changed_to(&self, wanted: Self) -> Change {
        // where it listens may follow from something that changes
        let settled = |config: Self| Self { listen: Some(config.listens_on()), ..config };
        let (before, wanted) = (settled(self.clone()), settled(wanted));
        let mut config = wanted.clone();
        config.keep(&before, Effect::Reload);
        let mut kept = different(&config, &wanted);
        if config.database != wanted.database && !kept.iter().any(|key| key == "database") {
            // only its password differs, which the table does not show
            kept.push("database".to_owned());
        }
        Change { applied: different(&before, &config), kept, config }
    }
}

/// Keys whose shown values differ.
fn different(one: &Config, other: &Config) -> Vec<String> {
    let shown = |config| settings::entries(config, &Origins::new());
    settings::changed(&shown(one), &shown(other)).into_iter().map(|key| key.name).collect()
}

#[cfg(test)]
mod tests {
    use chat_programs::settings::Settings;

    use super::super::tests::{read, set};
    use super::*;

    fn after(file: &str) -> Change {
        Config::default().changed_to(read(file))
    }

    #[test]
    fn what_can_change_does_and_what_cannot_is_named() {
        let file = "listen = \"127.0.0.1:1\"\nregistration = \"invite\"\n[rates]\nsubmits_burst = 1\n\
                    [passwords]\nbcrypt_cost = 13\nqueue = 3\n[metrics]\nlisten = \"127.0.0.1:2\"\n";
        let change = after(file);
        assert_eq!(change.applied, ["registration", "passwords.bcrypt_cost", "rates.submits_burst"]);
        assert_eq!(change.kept, ["listen", "passwords.queue", "metrics.listen"]);
        assert_eq!(change.config.listens_on(), Config::default().listens_on());
        assert_eq!(change.config.rates.submits_burst, 1);
    }

    #[test]
    fn address_that_follows_from_the_public_one_stays_until_a_restart() {
        let of = |public: &str| set(&format!("public={public}"));
        let first = of("localhost:8897").changed_to(of("chat.example.org:8897"));
        assert_eq!((first.applied, first.kept), (vec!["public".to_owned()], vec!["listen".to_owned()]));
        let again = first.config.changed_to(of("chat.example.org:8897"));
        assert_eq!(
            (again.applied.len(), again.kept, again.config.listens_on().ip().is_loopback()),
            (0, vec!["listen".to_owned()], true)
        );
    }

    #[test]
    fn every_key_is_either_applied_or_named_here_and_in_the_readme() {
        let readme = include_str!("../../README.md");
        let exceptions =
            readme.split_once("SIGHUP (").and_then(|(_, rest)| rest.split_once("until a restart")).unwrap().0;
        for key in Config::keys() {
            let value = match key.name.as_str() {
                "listen" | "metrics.listen" => "127.0.0.1:1",
                "database" => "sqlite:other.db",
                "registration" => "invite",
                "public" | "log" => "debug",
                _ => "5",
            };
            let wanted = set(&format!("{}={value}", key.name));
            let from = if wanted == Config::default() { continue } else { Config::default() };
            let change = from.changed_to(wanted);
            let named = exceptions.contains(&format!("`{}`", key.name));
            assert_eq!(named, !change.kept.is_empty(), "{}: what the README says of SIGHUP", key.name);
            assert_eq!([change.applied, change.kept].concat(), [key.name]);
        }
    }

    #[test]
    fn atk_62_new_database_password_is_noticed_and_not_shown() {
        let of = |password: &str| set(&format!("database=mysql://chat:{password}@db/chat"));
        let change = of("hunter1").changed_to(of("hunter2"));
        assert_eq!((change.applied.len(), change.kept.as_slice()), (0, ["database".to_owned()].as_slice()));
    }
}
