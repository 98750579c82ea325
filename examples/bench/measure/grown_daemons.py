"""What chatd costs as there is more of something: each time two people begin anew."""

import os

from .chatd import IN_FLIGHT, PASSWORD, Conversation, Daemon
from .line import quantile

CONSUMER = "idle"
CALLS = 20  # of which the median is taken
# Messages that wait to be sent. A connection that comes back while more than 256 wait for users without a session is begun
# anew again and again.
AT_ONCE = 100


class GrownDaemons(Conversation):
    def __init__(self, run):
        super().__init__(run)
        self.alice, self.bob = self.member("alice"), self.member("bob")
        self.acquaint()

    def history(self):
        have = 0
        for history in self.scale.growth["history"]:
            step = f"growth/history/{history}"
            self.pipelined(history - have, step, 4_000_000 + have)
            have = history
            self.start_with_history(step)
            self.search(step)

    def chats(self):
        """Bob's, each with somebody who is away and got one message."""
        have = 0
        for number, chats in enumerate(self.scale.growth["chats"]):
            step = f"growth/chats/{chats}"
            self.server.register(range(have, chats), self.run.cpus)
            begun = self.sends([f"@u{peer:06}" for peer in range(have, chats)])
            have = chats
            sent = self.sends(["@alice"] * self.scale.at_each)
            self.add(step, begun_cpu_us=begun, sent_cpu_us=sent)
            self.read(number, step)
            self.add(step, info_us=self.takes("daemon.info"), list_us=self.takes("chat.list", limit=10))
            self.start_with_history(step)

    def devices(self):
        """Of Bob's account, all of them online."""
        have = [self.bob]
        for number, devices in enumerate(self.scale.growth["devices"]):
            have += [self.another_device(f"bob{count}") for count in range(len(have) + 1, devices + 1)]
            self.warm(have)
            self.read(number, f"growth/devices/{devices}")

    def events(self):
        """Of Bob's log: what he notes about somebody is one, and no message."""
        bob, have = self.bob, 0
        bob.line.call("events.pull", {"consumer": CONSUMER})
        for number, events in enumerate(self.scale.growth["events"]):
            step = f"growth/events/{events}"
            notes = [{"user": "carol", "note": f"note {count}"} for count in range(have, events)]
            before = bob.cpu()
            bob.line.pipeline("contact.set", notes, IN_FLIGHT)
            self.add(step, event_cpu_us=(bob.cpu() - before) / len(notes) * 1e6)
            have = events
            self.read(number, step)
            pull = self.takes("events.pull", consumer=CONSUMER, max=100)
            self.add(step, pull_us=pull, metrics_us=self.takes("daemon.metrics"))
            self.start_with_history(step)

    def another_device(self, name):
        """Bob's, let in by the one that he has."""
        device = Daemon(self.run, self.folder, name)
        with open(self.server.invite) as file:
            invite = file.read().strip()
        asked = device.line.call("account.login", {"invite": invite, "user": "bob", "password": PASSWORD})
        here = {"device_id": asked["device_id"], "digits": asked["digits"]}
        self.bob.until(lambda: self.waits(here["device_id"]), "does not hear of his other device")
        for each in (device, self.bob):
            each.line.call("device.approve", here)
        device.online()
        device.hears()
        return device

    def waits(self, device_id):
        devices = self.bob.line.call("device.list")["devices"]
        return any(device["device_id"] == device_id and device["state"] == "waiting" for device in devices)

    def read(self, number, step):
        """What a message from Alice to Bob costs, the `number`th time."""
        self.pipelined(self.scale.at_each, step, 5_000_000 + number * self.scale.at_each)

    def sends(self, targets):
        """Has Bob write to each, some at a time; the CPU of one message until the server has it, in microseconds."""
        bob, before = self.bob, self.bob.cpu()
        for first in range(0, len(targets), AT_ONCE):
            calls = [{"to": to, "text": "hello"} for to in targets[first : first + AT_ONCE]]
            bob.line.pipeline("msg.send", calls, IN_FLIGHT)
            bob.until(lambda: not bob.line.call("daemon.health")["outbox"]["queued"], "does not get rid of his messages")
        return (bob.cpu() - before) / len(targets) * 1e6

    def takes(self, method, **params):
        """The median time of a call, in microseconds."""
        return quantile(self.bob.line.times(method, [params] * CALLS), 0.5) * 1e6
