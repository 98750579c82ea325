//! Questions a call asks the server through the present connection, beside the engine's own.
//!
//! They change nothing that must survive: an answer that does not come is a failed call.

use std::collections::BTreeMap;

use chat_protocol::cbor;
use chat_protocol::limits::MAX_NUMBER;
use chat_protocol::message::server::Refusal;
use chat_protocol::message::{self, Answered};
use chat_protocol::rpc::{Kind, RpcError};
use tokio::sync::oneshot;

use super::{Daemon, LoopMessage, ended, errors};
use crate::account::Standing;
use crate::api::Answer;
use crate::link::LinkHandle;

/// Ids of the engine's requests begin at 1; those of questions in the upper half of the numbers a frame may have.
const FIRST_ID: u64 = MAX_NUMBER / 2 + 1;
/// Most questions that wait at once; the next is told so.
const MAX_WAITING: usize = 64;

type Reply = oneshot::Sender<Result<message::Answer, Failed>>;

/// A request for the server, and who wants to know.
pub(super) struct Question {
    number: u16,
    payload: Vec<u8>,
    reply: Reply,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// There is no connection, or it was lost.
    Offline,
    /// Too many questions wait.
    Busy,
    /// The server said no.
    Refused(Refusal),
}

/// Questions under way.
#[derive(Default)]
pub(super) struct Asked {
    next: u64,
    waiting: BTreeMap<u64, Reply>,
}

impl Asked {
    /// Sends a question, if there is a connection.
    pub(super) fn ask(&mut self, question: Question, link: Option<&LinkHandle>, online: bool) {
        let Some(link) = link.filter(|_| online) else {
            return fail(question.reply, Failed::Offline);
        };
        let id = FIRST_ID + self.next;
        if self.waiting.len() >= MAX_WAITING || link.request(id, question.number, question.payload).is_err() {
            return fail(question.reply, Failed::Busy);
        }
        self.next += 1;
        self.waiting.insert(id, question.reply);
    }

    /// Takes an answer if it is one to a question; gives it back otherwise.
    pub(super) fn take(
        &mut self,
        id: u64,
        result: Result<message::Answer, Refusal>,
    ) -> Option<Result<message::Answer, Refusal>> {
        match self.waiting.remove(&id) {
            Some(reply) => {
                // whoever asked may have gone
                let _ = reply.send(result.map_err(Failed::Refused));
                None
            }
            None if id >= FIRST_ID => None,
            None => Some(result),
        }
    }

    /// The connection is gone, and with it every answer.
    pub(super) fn lost(&mut self) {
        std::mem::take(&mut self.waiting).into_values().for_each(|reply| fail(reply, Failed::Offline));
    }
}

fn fail(reply: Reply, why: Failed) {
    let _ = reply.send(Err(why));
}

impl Daemon {
    /// Asks the server and waits for its answer.
    pub(super) async fn ask<T: Answered>(&self, request: &T) -> Answer<T::Answer> {
        let (reply, answer) = oneshot::channel();
        let question = Question { number: T::TYPE, payload: cbor::encode(request), reply };
        self.tell_loop(LoopMessage::Ask(question)).await?;
        match answer.await.map_err(|_| ended())? {
            Ok(answer) => {
                T::of(answer).ok_or_else(|| RpcError::new(Kind::ServerRejected, "the server answered something else"))
            }
            Err(Failed::Offline) => Err(self.offline()),
            Err(Failed::Busy) => Err(RpcError::new(Kind::RateLimited, "too many questions wait for the server")),
            Err(Failed::Refused(refusal)) => Err(errors::refusal(&refusal)),
        }
    }
    /// Why the server cannot be asked: nobody is logged in here, or there is no connection just now.
    pub(super) fn offline(&self) -> RpcError {
        match self.context().account() {
            Ok(Some(account)) if account.standing == Standing::Active => {
                RpcError::new(Kind::Offline, "there is no connection to the server")
            }
            _ => self.nobody(),
        }
    }
}
