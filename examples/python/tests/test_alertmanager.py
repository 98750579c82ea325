"""What Alertmanager is answered, and what the chat is told."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import unittest
from typing import Any

from .fake import FakeDaemon, cut, refuse
from .test_process import PACKAGE, environment

ALERT = {
    "status": "firing",
    "labels": {"alertname": "DiskFull", "instance": "web-1", "severity": "page"},
    "annotations": {"summary": "91 % of / is full"},
    "startsAt": "2030-01-02T03:04:05.678Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "a1",
}

#: What Grafana 11 sends from a contact point of the type Webhook: Alertmanager's form, and more.
GRAFANA = {
    "receiver": "chat",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "High memory usage", "team": "blue", "zone": "us-1"},
            "annotations": {
                "description": "The system has high memory usage",
                "runbook_url": "https://example.test/runbook/1234",
                "summary": "This alert was triggered for zone us-1",
            },
            "startsAt": "2030-10-12T09:51:03.157076+02:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://grafana.example.test/alerting/1afz29v7z/edit",
            "fingerprint": "c6eadffa33fcdf37",
            "silenceURL": "https://grafana.example.test/alerting/silence/new?matchers=alertname%3DT2",
            "dashboardURL": "",
            "panelURL": "",
            "values": {"B": 44.23943737541908, "C": 1},
            "valueString": "[ metric='' labels={} value=44.23943737541908 ]",
        }
    ],
    "groupLabels": {},
    "commonLabels": {"alertname": "High memory usage", "team": "blue"},
    "commonAnnotations": {},
    "externalURL": "https://grafana.example.test/",
    "version": "1",
    "groupKey": "{}:{}",
    "truncatedAlerts": 2,
    "orgId": 1,
    "title": "[FIRING:1]  (High memory usage blue)",
    "state": "alerting",
    "message": "**Firing**\n\nLabels:\n - alertname = High memory usage",
}


def notification(*alerts: Any, **more: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": '{}:{alertname="DiskFull"}',
        "status": "firing",
        "commonLabels": {"alertname": "DiskFull"},
        "alerts": list(alerts) or [ALERT],
        **more,
    }


class AlertmanagerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.daemon = FakeDaemon()
        self.daemon.start()
        self.addCleanup(self.daemon.__exit__)

    def start(self, *words: str) -> None:
        command = [sys.executable, str(PACKAGE / "alertmanager_bot.py"), "--to", "@ops", "--listen", "127.0.0.1:0"]
        pipe: Any = subprocess.PIPE
        self.process = subprocess.Popen(
            [*command, *words], env=environment(self.daemon), stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self.addCleanup(self.process.communicate)
        self.addCleanup(self.process.kill)
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        self.address = line.strip().rpartition(" ")[2]

    def post(self, body: Any, **headers: str) -> int:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", "/", data, {"Content-Type": "application/json", **named})
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    def test_an_alert_is_told_once_however_often_it_is_posted(self) -> None:
        self.start()
        for _ in range(3):
            self.assertEqual(self.post(notification()), 200)
        firing = (
            "🔥 DiskFull: 1 firing\n- firing: 91 % of / is full; instance=web-1 severity=page; since 2030-01-02 03:04"
        )
        self.assertEqual(self.daemon.texts(), [firing])
        worded = {**ALERT, "annotations": {"summary": "92 % of / is full"}}
        self.assertEqual(self.post(notification(worded)), 200, "another word about the same alert is no new alert")
        resolved = {**ALERT, "status": "resolved"}
        self.assertEqual(self.post(notification(resolved, status="resolved")), 200)
        again = {**ALERT, "startsAt": "2030-01-03T00:00:00Z"}
        other = {**ALERT, "labels": {**ALERT["labels"], "instance": "web-2"}, "status": "resolved"}  # type: ignore[dict-item]
        self.assertEqual(self.post(notification(again, other)), 200)
        heads = [text.split("\n")[0] for text in self.daemon.texts()]
        self.assertEqual(heads, ["🔥 DiskFull: 1 firing", "✅ DiskFull: resolved", "🔥 DiskFull: 1 firing, 1 resolved"])

    def test_grafana_is_understood_by_the_shape_of_what_it_sends(self) -> None:
        self.start()
        for _ in range(2):
            self.assertEqual(self.post(GRAFANA), 200)
        self.assertEqual(
            self.daemon.texts(),
            [
                "🔥 High memory usage: 1 firing\n"
                "- firing: This alert was triggered for zone us-1; zone=us-1; since 2030-10-12 09:51\n"
                "and 2 more"
            ],
        )
        bare = {"status": "firing", "alerts": [{"status": "firing", "startsAt": "2030-01-02T03:04:05Z", "labels": None}]}
        self.assertEqual(self.post(bare), 200, "who has no labels says so in several ways")
        self.assertEqual(self.daemon.texts()[1], "🔥 alerts: 1 firing\n- firing: since 2030-01-02 03:04")

    def test_a_flood_of_alerts_is_cut_and_still_told(self) -> None:
        self.start()
        many = [{**ALERT, "labels": {"alertname": "X", "n": str(n) * 500}} for n in range(200)]
        self.assertEqual(self.post(notification(*many)), 200)
        text = self.daemon.texts()[0]
        self.assertLessEqual(len(text.encode()), 7_000)
        self.assertTrue(text.endswith("and 180 more"), text[-50:])

    def test_while_chatd_is_away_or_refuses_alertmanager_is_to_try_again(self) -> None:
        self.start()
        self.daemon.stop()
        self.assertEqual(self.post(notification()), 503)
        self.daemon.start()
        self.daemon.fault("msg.send", cut)
        self.assertEqual(self.post(notification()), 503)
        self.daemon.fault("msg.send", refuse(1040, "identity_changed", "the identity changed"))
        self.assertEqual(self.post(notification()), 503)
        self.assertEqual(self.post(notification()), 200)
        self.assertEqual(len(self.daemon.texts()), 1)

    def test_bad_input_is_refused_and_harms_nobody(self) -> None:
        self.start()
        broken: list[Any] = [
            b"",
            b"{",
            b"\xff\xfe",
            b"[" * 100_000,
            b"[]",
            b"null",
            {},
            {"version": "4", "status": "firing"},
            notification(status="odd"),
            {**notification(), "alerts": []},
            {**notification(), "alerts": [7]},
            notification({**ALERT, "labels": ["x"]}),
            notification({**ALERT, "annotations": {"summary": 7}}),
            notification({**ALERT, "startsAt": None}),
        ]
        for body in broken:
            self.assertEqual(self.post(body), 400, str(body)[:80])
        self.assertEqual(self.post(b"x" * (1024 * 1024 + 1)), 413)
        self.assertEqual(self.post(notification(), Content_Type="text/plain"), 415)
        self.assertEqual(self.post(notification(), Host="evil.example"), 403)
        self.assertEqual(self.post(notification(), Host="localhost:1"), 200)

    def test_a_length_that_is_no_number_is_refused(self) -> None:
        self.start()
        host, port = self.address.split(":")
        for length in ("Content-Length: -1\r\n", "Content-Length: ²\r\n", ""):
            with socket.create_connection((host, int(port)), timeout=30) as caller:
                head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}\r\n"
                caller.sendall(head.encode("latin-1"))
                self.assertIn(b" 411 ", caller.makefile("rb").readline())

    def test_with_a_token_nobody_is_heard_without_it(self) -> None:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("secret word\n")
            file.flush()
            self.start("--token-file", file.name)
        self.assertEqual(self.post(notification()), 401)
        self.assertEqual(self.post(notification(), Authorization="Bearer secret"), 401)
        self.assertEqual(self.post(notification(), Authorization="Bearer secret word"), 200)

    def test_it_tells_monitors_whether_it_could_store_a_message_and_ends_well(self) -> None:
        self.start()
        self.daemon.stop()
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.request("GET", "/")
        answer = connection.getresponse()
        self.assertEqual(answer.status, 503)
        self.assertIn(b"chatd is not running", answer.read())
        connection.close()
        self.process.terminate()
        self.assertEqual(self.process.wait(30), 0)


if __name__ == "__main__":
    unittest.main()
