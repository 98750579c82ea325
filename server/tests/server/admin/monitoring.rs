//! Metrics of the real program, read by a parser that is not ours.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::operator::{Operator, Running};
use crate::support::python;

const PARSE: &str = "
import sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.argv[1]))
assert all(family.documentation and family.type in ('counter', 'gauge', 'histogram') for family in families), families
assert all(sample.name.startswith('chat_server_') for family in families for sample in family.samples)
values = {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}
print(len(families), int(values['chat_server_ready']), int(values['chat_server_uptime_seconds'] < 60))
";

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: monitoring\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let operator = Operator::set_up();
    let words = ["run", "--listen", "127.0.0.1:0", "--set", "metrics.listen=127.0.0.1:0"];
    let mut server = Running::start(operator.command(&words));
    let line = server.line();
    let address = line.strip_prefix("metrics and health on http://").expect(&line);
    while !get(address, "/health/ready").ends_with("\r\n\r\nready\n") {}
    let answer = get(address, "/metrics");
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    let families = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(python(PARSE, &[text]), format!("{families} 1 1"));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn nothing_listens_for_monitoring_unless_told_to() {
    let operator = Operator::set_up();
    let mut server = Running::start(operator.command(&["run", "--listen", "127.0.0.1:0"]));
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.line(), "", "one address, one line");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let setting = format!("metrics.listen={}", taken.local_addr().unwrap());
    let refused = operator.run(&["run", "--listen", "127.0.0.1:0", "--set", &setting]);
    assert_eq!(refused.code, 69);
    assert!(refused.err.ends_with("Hint: name another one: `--set metrics.listen=ADDR`\n"), "{}", refused.err);
}

/// A pipe that takes nothing more, and its end for reading.
fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

/// A process that ends with its owner.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn a_reader_that_reads_nothing_keeps_the_server_neither_from_serving_nor_from_its_end() {
    let operator = Operator::set_up();
    let (_reader, writer) = full_pipe();
    // the service manager hears where it is; it is told after standard output
    let manager = UnixDatagram::bind(operator.root.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = operator.command(&["run", "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", operator.root.path().join("notify"));
    let both = (writer.try_clone().unwrap(), writer);
    let mut server = Owned(command.stdout(both.0).stderr(Stdio::from(both.1)).spawn().unwrap());
    let mut heard = [0; 512];
    let heard = manager.recv(&mut heard).map(|n| String::from_utf8_lossy(&heard[..n]).into_owned()).expect("it waits");
    let address = heard.lines().find_map(|line| line.strip_prefix("STATUS=listening on ")).expect(&heard);
    TcpStream::connect(address).expect("nobody is served");
    let pid = server.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
}
