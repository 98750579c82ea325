//! The address under which clients reach the server, and how far a server must be heard for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use chat_protocol::limits::DEFAULT_PORT;

/// Every interface, on the port the first Python application used.
pub const EVERYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_PORT);

/// Host and port of `HOST:PORT`, the host without the brackets of an IPv6 address.
#[must_use]
pub fn parse(public: &str) -> Option<(String, u16)> {
    let (host, port) = public.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host.to_owned(), port.parse().ok()?))
}

/// Where a server listens that is reached under this name: on the machine itself under a name of its own, for nothing
/// is between them; else everywhere, on the usual port, since another may be forwarded to it.
#[must_use]
pub fn reach(host: &str, port: u16) -> SocketAddr {
    match host.parse() {
        Ok(address @ IpAddr::V4(_)) if address.is_loopback() => SocketAddr::new(address, port),
        Ok(IpAddr::V6(address)) => match address.to_canonical() {
            own if own.is_loopback() => SocketAddr::new(own, port),
            // an interface of IPv4 alone would not hear it
            _ => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), DEFAULT_PORT),
        },
        Err(_) if is_own_name(host) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
        _ => EVERYWHERE,
    }
}

/// Names that stand for this machine alone, by RFC 6761; a dot at the end changes nothing.
fn is_own_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    fn listens(file: &str) -> String {
        read(file).listens_on().to_string()
    }

    #[test]
    fn server_is_heard_as_far_as_its_public_name_and_no_further() {
        let public = |name: &str| listens(&format!("public = \"{name}\""));
        for (name, address) in [
            ("localhost:8897", "127.0.0.1:8897"),
            ("LocalHost.:9000", "127.0.0.1:9000"),
            ("chat.localhost:9000", "127.0.0.1:9000"),
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("127.8.0.1:9000", "127.8.0.1:9000"),
            ("[::1]:9000", "[::1]:9000"),
            ("[::ffff:127.0.0.1]:9000", "127.0.0.1:9000"),
            ("chat.example.org:443", "0.0.0.0:8897"),
            ("localhost.example.org:8897", "0.0.0.0:8897"),
            ("192.0.2.7:8897", "0.0.0.0:8897"),
            ("[2001:db8::7]:8897", "[::]:8897"),
        ] {
            assert_eq!(public(name), address, "{name}");
        }
        assert_eq!(listens(""), "0.0.0.0:8897");
        assert_eq!(listens("public = \"localhost:1\"\nlisten = \"0.0.0.0:2\""), "0.0.0.0:2", "who says it has it");
    }
}
