//! The daemon itself.

use super::done::Done;
use super::events::Consumer;
use crate::rpc::define::{method, methods, object, word};
use crate::rpc::secret::Secret;

methods! {
    DaemonMethods { DaemonInfo DaemonShutdown NetKick }
    socket { Hello Discover DaemonHealth DaemonMetrics }
}

method! {
    /// Says who calls and for which API version. Optional on the Unix socket.
    Hello("hello", Parallel, []) -> HelloAnswer {
        /// Major version of the API the caller was written for.
        pub api: String,
        /// `name/version` of the caller, for the daemon's log.
        pub client: String,
        /// A token: the connection has its rights from then on, and no others; none if it is none. Calls written behind
        /// this one have them too, and subscriptions begun with other rights end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub token: Option<Secret>,
    }
    errors [VersionMismatch]
    example {"api": "1", "client": "mailbot/0.1"} => {"api": "1", "daemon": "chatd/0.1.0", "features": []}
}
object! {
    /// Answers [`Hello`].
    HelloAnswer {
        /// Version of the API.
        pub api: String,
        /// Name and version of the daemon.
        pub daemon: String,
        /// Optional abilities of this daemon.
        pub features: Vec<String>,
    }
}

method! {
    /// What runs here, and where.
    DaemonInfo("daemon.info", Parallel, []) -> DaemonInfoAnswer {}
    errors []
    example {} => {
        "version": "0.1.0", "api": "1", "profile": "default", "data_dir": "/home/alice/.local/share/chatd",
        "socket": "/run/user/1000/chatd/default.sock", "pid": 4242, "uptime_ms": 60000,
        "limits": {"line_bytes": 1048576, "batch": 100, "text_bytes": 61440, "room_text_bytes": 8192},
        "features": []
    }
}
object! {
    /// Answers [`DaemonInfo`].
    DaemonInfoAnswer {
        /// Version of the daemon.
        pub version: String,
        /// Version of the API.
        pub api: String,
        /// Profile this daemon serves.
        pub profile: String,
        /// Where its data lives.
        pub data_dir: String,
        /// Where its socket is.
        pub socket: String,
        /// Process id.
        pub pid: u32,
        /// How long it has run.
        pub uptime_ms: u64,
        /// Limits a client should know.
        pub limits: DaemonLimits,
        /// Optional abilities of this daemon.
        pub features: Vec<String>,
    }
}
object! {
    /// Limits of the socket and of messages.
    DaemonLimits {
        /// Longest line.
        pub line_bytes: u64,
        /// Most calls in one batch.
        pub batch: u64,
        /// Longest text of a private message.
        pub text_bytes: u64,
        /// Longest text in the public room.
        pub room_text_bytes: u64,
    }
}
impl DaemonLimits {
    /// The limits of this version.
    #[must_use]
    pub const fn current() -> Self {
        Self {
            line_bytes: crate::limits::MAX_LINE_BYTES as u64,
            batch: crate::limits::MAX_BATCH as u64,
            text_bytes: crate::limits::MAX_TEXT_BYTES as u64,
            room_text_bytes: crate::limits::MAX_ROOM_TEXT_BYTES as u64,
        }
    }
}

method! {
    /// How the daemon is doing.
    DaemonHealth("daemon.health", Parallel, []) -> Health {}
    errors []
    example {} => {
        "live": true, "ready": true,
        "connection": {
            "state": "online", "since_ms": 1700000000000, "server": "chat.example:8897", "last_rx_ms": 1700000000000
        },
        "outbox": {"queued": 0, "failed": 0}, "consumers": [], "store": {"bytes": 4096, "locked": false}
    }
}
object! {
    /// Answers [`DaemonHealth`].
    Health {
        /// The daemon's loop runs.
        pub live: bool,
        /// Messages are received: there is an account, the server is connected, and what comes can be stored.
        pub ready: bool,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// The connection to the server.
        pub connection: Connection,
        /// What waits to be sent.
        pub outbox: OutboxHealth,
        /// Named readers of the event log.
        pub consumers: Vec<Consumer>,
        /// The daemon's store.
        pub store: StoreHealth,
    }
}
word! {
    /// State of the connection to the server.
    ConnectionState {
        /// No account: nowhere to connect to.
        Idle,
        /// On the way.
        Connecting,
        /// Logged in.
        Online,
        /// Waiting to try again.
        Offline,
        /// The server refuses this device; nothing is tried until somebody logs in.
        AuthFailed,
        /// The server ended the connection on purpose.
        Kicked,
    }
}
word! {
    /// What keeps a connection from being there: each is mended in another way.
    ConnectionTrouble {
        /// Nobody answers at the address, or the name is not known.
        Unreachable,
        /// The server did not prove the key it should have, or did not accept the shared secret.
        Keys,
        /// It does not speak a version this daemon does.
        Incompatible,
        /// The connection was there, and broke or fell silent.
        Lost,
        /// The server did not take the login, and says no more than that it is busy or has trouble of its own.
        Busy,
    }
}
object! {
    /// The connection to the server.
    Connection {
        /// Its state.
        pub state: ConnectionState,
        /// Since when.
        pub since_ms: u64,
        /// `host:port`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub server: Option<String>,
        /// When the server was last heard.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub last_rx_ms: Option<u64>,
        /// Last measured round trip.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub rtt_ms: Option<u64>,
        /// How far the server's clock is ahead of this machine's; absent without a connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub clock_offset_ms: Option<i64>,
        /// Why there is no connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// What kind of trouble that is, until there is a connection again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trouble: Option<ConnectionTrouble>,
        /// When the next attempt is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub next_retry_ms: Option<u64>,
    }
}
object! {
    /// What waits to be sent.
    OutboxHealth {
        /// Messages not yet accepted by the server: those `msg.outbox` lists as `queued`.
        pub queued: u64,
        /// Messages that did not arrive: the others it lists.
        pub failed: u64,
    }
}
object! {
    /// The daemon's store.
    StoreHealth {
        /// Size on disk.
        pub bytes: u64,
        /// Whether it waits for its passphrase.
        pub locked: bool,
        /// Why nothing can be stored, as long as nothing can; nothing is received then either.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub failure: Option<String>,
    }
}

method! {
    /// What the daemon has counted since it began, for Prometheus. A token sees the lag of its own consumers.
    DaemonMetrics("daemon.metrics", Parallel, []) -> MetricsText {}
    errors []
    example {} => {"content_type": "text/plain; version=0.0.4", "text": "# TYPE chatd_up gauge\nchatd_up 1\n"}
}
object! {
    /// Answers [`DaemonMetrics`].
    MetricsText {
        /// Media type of the text.
        pub content_type: String,
        /// Prometheus' text format.
        pub text: String,
    }
}

method! {
    /// Ends the daemon: calls in flight finish, what is queued is kept.
    DaemonShutdown("daemon.shutdown", Serial, [Admin]) -> Done {}
    errors []
    example {} => {}
}
method! {
    /// Tries the connection again now.
    NetKick("net.kick", Parallel, [Admin]) -> Done {}
    errors []
    example {} => {}
}

method! {
    /// This API as an OpenRPC document.
    Discover("rpc.discover", Parallel, []) -> serde_json::Value {}
    errors []
    example {} => {"openrpc": "1.3.2", "info": {"title": "chatd", "version": "1"}}
}
