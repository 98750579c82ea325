//! What may be said of where and to whom the calls are offered over HTTP.

use super::keys::HttpConfig;

impl HttpConfig {
    /// What is wrong with it, and with which key.
    ///
    /// # Errors
    /// The key, and why its value is refused.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(listen) = self.listen.filter(|listen| !listen.ip().is_loopback()) {
            let why = "tokens travel in the clear, so it must be of this machine alone, as 127.0.0.1 or [::1]; \
                       use `ssh -L`, or a proxy that speaks TLS, to reach it from elsewhere";
            return Err(("http.listen", format!("{listen}: {why}")));
        }
        if let Some(host) = self.hosts.iter().find(|host| !is_host(host) || host.contains(':')) {
            return Err(("http.hosts", format!("{host:?} is no name of a host without its port, as `chat.example`")));
        }
        if let Some(origin) = self.origins.iter().find(|origin| !is_origin(origin)) {
            let why = "is no origin of a web page, as `https://chat.example`: scheme and host, and nothing behind";
            return Err(("http.origins", format!("{origin:?} {why}")));
        }
        Ok(())
    }
}

fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// A star would let every page of the web try its luck.
fn is_origin(text: &str) -> bool {
    let scheme =
        |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    text.split_once("://").is_some_and(|(before, host)| scheme(before) && is_host(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(listen: &str, host: &str, origin: &str) -> HttpConfig {
        HttpConfig { listen: listen.parse().ok(), hosts: vec![host.into()], origins: vec![origin.into()] }
    }

    #[test]
    fn only_this_machine_is_listened_on() {
        for listen in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:8898"] {
            assert_eq!(with(listen, "h", "http://h").check(), Ok(()));
        }
        for listen in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[::ffff:127.0.0.1]:80"] {
            let (key, why) = with(listen, "h", "http://h").check().unwrap_err();
            assert!(key == "http.listen" && why.contains("in the clear"), "{why}");
        }
    }

    #[test]
    fn hosts_and_origins_are_names_and_never_everybody() {
        assert_eq!(with("", "chat.example", "https://chat.example:8443").check(), Ok(()));
        for host in ["", "*", "chat.example:8443", "http://chat.example", "a/b", "a b"] {
            assert_eq!(with("", host, "http://h").check().unwrap_err().0, "http.hosts", "{host}");
        }
        for origin in ["", "*", "null", "chat.example", "https://", "https://a/", "https://a/b", "https://*"] {
            assert_eq!(with("", "h", origin).check().unwrap_err().0, "http.origins", "{origin}");
        }
    }
}
