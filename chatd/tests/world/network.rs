//! The network between the daemons and the server, and what it brings to either.

use chat_protocol::fixtures::counts;
use chat_protocol::frame::{Frame, FrameKind};
use chat_protocol::ids::DeviceId;
use chat_protocol::message::Answer;
use chat_protocol::message::client::Request;
use chat_protocol::message::server::{Code, Deliver, LoggedIn, Push, Refusal};
use chat_protocol::session::init::open_share;
use chatd::engine::Input;
use rand::RngExt;

use crate::lies::Heard;
use crate::node::{Down, Node, Wire};
use crate::world::{Fate, Next, World};

impl World {
    /// The server writes whatever it has to say to anybody.
    fn fill(&mut self) {
        let fills = |nodes: &mut Vec<Node>| {
            let wires = nodes.iter_mut().filter_map(|node| node.wire.as_mut());
            wires.map(Wire::fill).filter(|filled| *filled).count() > 0
        };
        while fills(&mut self.nodes) {
            self.server.run();
        }
    }

    /// What can happen without time passing.
    pub fn possible(&mut self) -> Vec<Next> {
        self.fill();
        let up = self.server.is_up();
        let mut steps = Vec::new();
        for (who, node) in self.nodes.iter_mut().enumerate() {
            match &mut node.wire {
                None if node.wants_online && up => steps.push(Next::Connect(who)),
                None => {}
                Some(wire) => {
                    steps.extend((!wire.up.is_empty()).then_some(Next::Up(who)));
                    steps.extend((!wire.down.is_empty()).then_some(Next::Down(who)));
                }
            }
            steps.extend((!node.shares.is_empty() && !node.slow).then_some(Next::Share(who)));
        }
        steps
    }

    pub fn step(&mut self, next: Next) {
        let fate = match if self.crashes == 0 { 0 } else { self.chance.random_range(0..self.crashes * 2) } {
            1 => Fate::DiesBefore,
            2 => Fate::DiesAfter,
            _ => Fate::Done,
        };
        let most = self.chance.random_range(1..4);
        self.take(next, most, fate);
        if self.cuts > 0 && self.chance.random_range(0..self.cuts) == 0 {
            let who = self.chance.random_range(0..self.nodes.len());
            self.cut(who);
        }
    }

    /// Does what comes next; of what comes down, at most `most` at once.
    pub fn take(&mut self, next: Next, most: usize, fate: Fate) {
        match next {
            Next::Connect(who) => self.connect(who),
            Next::Up(who) => self.up(who),
            Next::Down(who) => self.down(who, most, fate),
            Next::Share(who) => self.share(who, fate),
        }
    }

    fn connect(&mut self, who: usize) {
        let node = &mut self.nodes[who];
        node.wire = self.server.connect(&node.user, node.device).map(Wire::new);
    }

    /// A request arrives; with a server that reads no more it waits.
    fn up(&mut self, who: usize) {
        let node = &mut self.nodes[who];
        let Some(wire) = &mut node.wire else { return };
        let Some((id, number, payload)) = wire.up.pop_front() else { return };
        if wire.line.up.capacity() == 0 {
            return wire.up.push_front((id, number, payload));
        }
        match counts::apart(|| self.server.hear(&node.user, node.device, number, payload)) {
            Heard::Answered(answer) => wire.down.push_back(Down::Answer(id, number, answer)),
            Heard::Passed(payload) => {
                counts::apart(|| wire.note(id, number, &payload));
                counts::apart(|| self.check_acknowledgement(who, number, &payload));
                let wire = self.nodes[who].wire.as_ref().unwrap();
                // a connection that ends meanwhile takes it along
                let _ = wire.line.up.try_send(Frame { kind: FrameKind::Request, id, number, payload });
                self.server.run();
            }
        }
    }

    /// The server pushes something to a device, if it is connected.
    pub fn push(&mut self, device: &DeviceId, push: Push) {
        let node = self.nodes.iter_mut().find(|node| node.device == *device);
        if let Some(wire) = node.and_then(|node| node.wire.as_mut()).filter(|wire| !wire.ended) {
            wire.fill();
            wire.down.push_back(Down::Push(push));
        }
    }

    /// What a daemon asked arrives and has its effect; the answers are lost, and the process dies.
    pub fn crash_after_sending(&mut self, who: usize) {
        while self.nodes[who].wire.as_ref().is_some_and(|wire| !wire.up.is_empty()) {
            self.up(who);
        }
        self.crash(who);
    }

    fn down(&mut self, who: usize, most: usize, fate: Fate) {
        let node = &mut self.nodes[who];
        let Some(wire) = &mut node.wire else { return };
        if wire.down.is_empty() && wire.fill() {
            self.server.run();
        }
        let (mut inputs, mut ended) = (Vec::new(), false);
        while inputs.len() < most && !ended {
            let Some(down) = wire.down.pop_front() else { break };
            match down {
                Down::LoggedIn(logged_in) => {
                    let shown = self.server.shown_to(&node.user, &node.user);
                    let logged_in = LoggedIn { head: shown.map_or(logged_in.head, |shown| shown.head), ..logged_in };
                    let claim = self.server.claims.get(&node.device);
                    let logged_in = claim.map_or(logged_in.clone(), |claim| claim(logged_in));
                    let offset_ms = self.server.clock_ahead_ms - node.ahead_ms;
                    inputs.push(Input::Online { logged_in, offset_ms });
                }
                Down::Answer(id, number, result) => {
                    wire.open -= 1;
                    let submit = wire.submits.remove(&id).filter(|_| result.is_ok());
                    let kept = submit.is_none_or(|submit| self.server.disk.has_committed(node.device, submit));
                    assert!(kept, "{} hears that what nobody stored is accepted", node.user);
                    let result = result.map(|payload| Answer::decode(number, &payload).unwrap());
                    inputs.push(Input::Answer { id, result });
                }
                Down::Push(push) => {
                    node.heard.extend(deliver(&push));
                    inputs.push(Input::Push(push));
                }
                // the server could not look: the next try may find it able to
                Down::Refused(Refusal { code: Code::Busy | Code::Internal, .. }) => {}
                Down::Refused(refusal) => (node.wants_online, node.refused) = (false, Some(refusal.code)),
                Down::End => ended = true,
            }
        }
        if !inputs.is_empty() {
            self.feed(who, inputs, fate);
        }
        if ended {
            self.cut(who);
        }
    }

    fn share(&mut self, who: usize, fate: Fate) {
        let Some((job, init)) = self.nodes[who].shares.pop_front() else { return };
        self.nodes[who].opened += 1;
        let rejection = chat_protocol::crypto::secret::SecretBytes::new([9; 32]);
        let share = open_share(&init, &self.nodes[who].local.keys.decryption, &rejection, &mut self.rng);
        self.feed(who, vec![Input::ShareOpened { job, share }], fate);
    }

    /// Nobody may acknowledge what is not committed where it was delivered.
    fn check_acknowledgement(&self, who: usize, number: u16, payload: &[u8]) {
        let node = &self.nodes[who];
        let Ok(Request::MailboxAck(ack)) = Request::decode(number, payload) else { return };
        let held = self.server.mail(node.device).into_iter().map(|mail| mail.mailbox_seq);
        let lost: Vec<_> = held.filter(|seq| *seq <= ack.seq && !node.stored.contains(seq)).collect();
        assert!(lost.is_empty(), "{} acknowledges {} without having stored {lost:?}", node.user, ack.seq);
    }
}

fn deliver(push: &Push) -> Option<Deliver> {
    if let Push::Deliver(delivery) = push { Some(delivery.clone().into_inner()) } else { None }
}
