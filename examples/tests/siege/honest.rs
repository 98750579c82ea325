//! People who talk to each other, and hear every word.

use std::thread;
use std::time::Duration;

use chat_stories::{Person, Stage};
use serde_json::Value;

use crate::beat::Beat;
use crate::callers::Door;

/// Two who talk.
pub struct Pair {
    people: [Person; 2],
    /// What each has said, in order.
    said: Vec<String>,
}

impl Pair {
    pub fn meet(stage: &Stage, number: usize) -> Self {
        let mut people = ["one", "two"].map(|name| with_port(stage, &format!("honest-{name}{number}")));
        let [one, two] = &mut people;
        acquaint(one, two);
        Self { people, said: Vec::new() }
    }

    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.iter()
    }

    /// The ways into the daemon of one of them.
    pub fn door(&mut self) -> Door {
        Door::of(&mut self.people[0])
    }

    /// Each says so many words in turn, one a beat or, if the one before came later than that, as soon as it is heard. How
    /// long after its beat each was heard: what it waited for the one before counts.
    fn talk(&mut self, messages: usize, mut beat: Beat) -> Vec<Duration> {
        let mut took = Vec::new();
        for _ in 0..messages {
            let text = format!("word {}", self.said.len());
            for speaker in 0..2 {
                let due = beat.next();
                self.say(speaker, &text);
                took.push(due.elapsed());
            }
            self.said.push(text);
        }
        took
    }

    /// One of them says something, and the other hears it.
    fn say(&mut self, speaker: usize, text: &str) {
        let [one, two] = &mut self.people;
        let (from, to) = if speaker == 0 { (one, two) } else { (two, one) };
        let known = to.events().len();
        from.send(&to.at(), text);
        let is_it = |data: &Value| data["from"] == *from.name() && data["text"] == *text;
        to.later(text, known, |event| event["type"] == "message.new" && is_it(&event["data"]));
    }

    /// Reads what came meanwhile from others: hundreds of events, whose reading is no part of a word's way.
    fn catch_up(&mut self) {
        let text = format!("after {} words", self.said.len());
        (0..2).for_each(|speaker| self.say(speaker, &text));
    }

    /// Every word is there once and in its order, and nothing was called lost.
    pub fn lost_nothing(&mut self) {
        for reader in 0..2 {
            let author = self.people[1 - reader].name().to_owned();
            let person = &mut self.people[reader];
            let heard: Vec<_> = person
                .events()
                .iter()
                .filter(|event| event["type"] == "message.new" && event["data"]["from"] == *author)
                .map(|event| event["data"]["text"].as_str().unwrap().to_owned())
                .filter(|text| text.starts_with("word "))
                .collect();
            assert_eq!(heard, self.said, "what {} heard", person.name());
            let lost = |event: &&Value| event["type"] == "message.missing" || event["type"] == "gap";
            assert_eq!(person.events().iter().find(lost), None);
        }
    }
}

/// Somebody registered and online, whose daemon has a port too.
fn with_port(stage: &Stage, name: &str) -> Person {
    let mut person = stage.stranger(name);
    person.start_with(&["--http-listen", "127.0.0.1:0"]);
    let _ = person.enter("register", &stage.server.invite()).success();
    person.turns("online");
    person
}

/// Two become acquainted: each has written to the other.
pub fn acquaint(one: &mut Person, two: &mut Person) {
    let (first, second) = (one.name().to_owned(), two.name().to_owned());
    one.send(&two.at(), "hello");
    two.hears(&one.at(), &first, "hello");
    two.send(&one.at(), "hello back");
    one.hears(&two.at(), &second, "hello back");
}

pub fn names(pairs: &[Pair]) -> Vec<String> {
    pairs.iter().flat_map(Pair::people).map(|person| person.name().to_owned()).collect()
}

/// All pairs talk at once, a word every `pace` in each, one pair a little after the other.
pub fn talk(pairs: &mut [Pair], messages: usize, pace: Duration) -> Vec<Duration> {
    thread::scope(|scope| pairs.iter_mut().for_each(|pair| drop(scope.spawn(|| pair.catch_up()))));
    let apart = pace / u32::try_from(pairs.len()).unwrap();
    thread::scope(|scope| {
        let beats = (1..).map(|number| Beat::after(apart * number, pace));
        let talks = pairs.iter_mut().zip(beats);
        let talks: Vec<_> = talks.map(|(pair, beat)| scope.spawn(move || pair.talk(messages, beat))).collect();
        talks.into_iter().flat_map(|talk| talk.join().unwrap()).collect()
    })
}

/// The time within which so many of a hundred were.
pub fn percentile(times: &[Duration], of_hundred: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[(times.len() * of_hundred / 100).min(times.len() - 1)]
}
