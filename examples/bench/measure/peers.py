"""The servers that ours is measured beside: how they are started, and which versions they are."""

import getpass
import grp
import os
import shutil
from dataclasses import dataclass, field

from .processes import free_port, output, program, ran

CONFIGS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "configs")


@dataclass
class Peer:
    """One server: the name of its figures and of its configuration, the generator's word for its protocol, the program."""

    name: str
    protocol: str
    program: str
    arguments: tuple
    version: tuple
    port: int = field(default_factory=free_port)

    @property
    def installed(self):
        return program(self.program) is not None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def says_version(self):
        # mosquitto tells it with its usage, and calls that a failure
        done = ran([program(self.program), *self.version])
        return (done.stdout or done.stderr).splitlines()[0]

    def start(self, processes, state, tls, cpu):
        """Starts it with nothing kept from before; its process id."""
        data = os.path.join(state, self.name)
        shutil.rmtree(data, ignore_errors=True)
        os.makedirs(data)
        with open(os.path.join(CONFIGS, f"{self.name}.conf")) as file:
            text = file.read()
        filled = {
            "@PORT@": str(self.port),
            "@PLAIN@": str(free_port()),
            "@TLS@": tls,
            "@DATA@": data,
            "@USER@": getpass.getuser(),
            "@GROUP@": grp.getgrgid(os.getgid()).gr_name,
        }
        for mark, value in filled.items():
            text = text.replace(mark, value)
        config = os.path.join(state, f"{self.name}.conf")
        with open(config, "w") as file:
            file.write(text)
        pid = processes.start(self.name, [program(self.program), *self.arguments, config], cpu, directory=data)
        processes.until_listening(self.name, self.port)
        return pid


NATS = Peer("nats", "nats", "nats-server", ("-c",), ("--version",))
JETSTREAM = Peer("jetstream", "nats", "nats-server", ("-c",), ("--version",))
NGIRCD = Peer("ngircd", "irc", "ngircd", ("-n", "-f"), ("--version",))
MOSQUITTO = Peer("mosquitto", "mqtt", "mosquitto", ("-c",), ("-h",))
PEERS = (NATS, NGIRCD, MOSQUITTO, JETSTREAM)


def certificate(directory):
    """Where a certificate that nobody signed is, for all peers; it is made once."""
    if not os.path.exists(os.path.join(directory, "cert.pem")):
        os.makedirs(directory, exist_ok=True)
        output(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "3650",
                "-subj",
                "/CN=localhost",
                "-keyout",
                os.path.join(directory, "key.pem"),
                "-out",
                os.path.join(directory, "cert.pem"),
            ]
        )
    return directory
