//! What was said in a month, and who may know of it: the model that the world is held to.

use std::collections::BTreeSet;
use std::time::Duration;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::time::Timestamp;

/// What waits longer than this without a connection ends as failed.
const WAITS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Something somebody said on one device.
pub struct Said {
    pub id: MessageId,
    pub by: usize,
    pub author: Username,
    pub to: Username,
    pub text: String,
    pub at: Timestamp,
    /// Devices that have to show it in the end.
    pub must: BTreeSet<usize>,
    /// Devices that may show it: they had it and lost it again, or got hold of a copy.
    pub may: BTreeSet<usize>,
    /// It never left: its author's device learned first that somebody else has the name, or had no connection for
    /// longer than a message waits.
    pub failed: bool,
}

/// A device as far as others can know.
struct Known {
    user: Username,
    /// Its account's log names it, and somebody has it.
    listed: bool,
    /// It is connected, so that what is said there leaves on the same day.
    awake: bool,
    /// It believes the latest identity of everybody.
    believes: bool,
    /// A copy of a device whose end it has not heard of, and whose device that was.
    unaware_of: Option<(usize, Username)>,
}

#[derive(Default)]
pub struct Diary {
    pub said: Vec<Said>,
    devices: Vec<Known>,
    /// What was said without a connection and has not left.
    unsent: Vec<usize>,
    /// Messages that the user they were for has seen.
    pub seen: BTreeSet<MessageId>,
    /// Whoever had the name before has lost it to another identity.
    reset: Option<Username>,
    tries: usize,
}

impl Diary {
    /// A device joins: it is for whatever is said from now on.
    pub fn joins(&mut self, user: Username) {
        self.devices.push(Known { user, listed: true, awake: true, believes: true, unaware_of: None });
    }

    /// A device is ended or lost: nothing said from now on is for it.
    pub fn ends(&mut self, who: usize) {
        self.devices[who].listed = false;
    }

    pub fn sleeps(&mut self, who: usize) {
        self.devices[who].awake = false;
    }

    /// A device is back: what was said there leaves now, for those who are there now, unless it waited too long.
    pub fn wakes(&mut self, who: usize, now: Timestamp) {
        self.devices[who].awake = true;
        let (leaving, staying) = self.unsent.iter().partition(|said| self.said[**said].by == who);
        self.unsent = staying;
        let leaving: Vec<usize> = leaving;
        for said in leaving {
            if now.since(self.said[said].at) > WAITS {
                self.said[said].failed = true;
            } else {
                self.leaves(said);
            }
        }
        self.hears(who);
    }

    /// A device has heard of whatever ended.
    pub fn hears(&mut self, who: usize) {
        self.devices[who].unaware_of = None;
    }

    /// The name has another identity, which nobody of the others believes yet.
    pub fn resets(&mut self, user: &Username) {
        self.reset = Some(user.clone());
        self.devices.iter_mut().for_each(|device| device.believes &= device.user == *user);
    }

    pub fn believes(&mut self, who: usize) {
        self.devices[who].believes = true;
    }

    /// Whether what is said there to `to` has to stay there.
    pub fn distrusts(&self, who: usize, to: &Username) -> bool {
        !self.devices[who].believes && self.reset.as_ref() == Some(to)
    }

    /// Devices on which something can be said.
    pub fn speakers(&self) -> Vec<usize> {
        (0..self.devices.len()).filter(|who| self.devices[*who].listed).collect()
    }

    pub fn is_awake(&self, who: usize) -> bool {
        self.devices[who].awake
    }

    /// A text that nobody has said before.
    pub fn words(&mut self, by: usize, to: &Username) -> String {
        self.tries += 1;
        format!("[{}] device {by} to {to}", self.tries)
    }

    /// Something was said, and its author's device has stored it.
    pub fn add(&mut self, (by, to): (usize, Username), id: MessageId, text: String, at: Timestamp) {
        let author = self.devices[by].user.clone();
        let must = BTreeSet::from([by]);
        self.said.push(Said { id, by, author, to, text, at, must, may: BTreeSet::new(), failed: false });
        let newest = self.said.len() - 1;
        if self.devices[by].awake { self.leaves(newest) } else { self.unsent.push(newest) }
    }

    fn leaves(&mut self, said: usize) {
        let (by, to) = (self.said[said].by, self.said[said].to.clone());
        if self.distrusts(by, &to) {
            self.said[said].failed = true;
            return;
        }
        let author = self.devices[by].user.clone();
        let of = |known: &Known| known.listed && (known.user == to || known.user == author);
        let entitled = self.devices.iter().enumerate().filter(|(_, known)| of(known)).map(|(who, _)| who);
        let copied = self.devices[by].unaware_of.iter().filter(|(_, user)| *user == to).map(|(copy, _)| copy);
        self.said[said].may.extend(copied);
        self.said[said].must.extend(entitled);
    }

    /// A device lost what it had of whatever was said from `from` on; it may get it again.
    pub fn forgets(&mut self, who: usize, from: usize) {
        for said in &mut self.said[from..] {
            if said.must.remove(&who) {
                said.may.insert(who);
            }
        }
    }

    /// `who` has ended. `copy` has what it had up to `from`, and may open what was sealed for it since; also by
    /// other people's devices until they hear of it.
    pub fn is_copied(&mut self, who: usize, copy: usize, from: usize) {
        for (n, said) in self.said.iter_mut().enumerate().filter(|(_, said)| said.must.contains(&who)) {
            let gets = if n < from { &mut said.must } else { &mut said.may };
            gets.insert(copy);
        }
        let user = self.devices[who].user.clone();
        let unaware = self.devices.iter_mut().filter(|known| known.user != user);
        unaware.for_each(|known| known.unaware_of = Some((copy, user.clone())));
    }

    /// Whether any device of the addressee has it.
    pub fn has_arrived(&self, said: &Said) -> bool {
        said.must.iter().chain(&said.may).any(|who| self.devices.get(*who).is_some_and(|known| known.user == said.to))
    }
}
