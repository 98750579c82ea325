//! One batch: the inputs that wait together share a transaction, each behind its own savepoint.
//!
//! Blocking, so it runs off the runtime. What comes out of it ([`Outcome`]) is performed only after
//! the commit; when there is none, nobody is told anything but the failure.

use std::sync::Arc;

use chat_protocol::message::server::Push;
use chat_protocol::time::Reading;
use rand::CryptoRng;
use tokio::sync::oneshot;

use super::high_water_file::HighWaterFile;
use crate::clock;
use crate::engine::sessions::HighWater;
use crate::engine::{Action, Engine, EngineError, Input, Txn, events};
use crate::store::{Rows, RowsError, SealedRows, Store};

/// A call of the socket that changes rows.
pub(super) trait Command: Send {
    /// Runs it behind its savepoint.
    fn run(&mut self, call: Running<'_>) -> Result<Vec<Action>, EngineError>;
    /// Answers the caller: after the commit, or with what kept it from happening.
    fn answer(self: Box<Self>, failure: Option<EngineError>);
    /// Answers that there is no account.
    fn refuse(self: Box<Self>);
}

/// What a command runs with.
pub(super) struct Running<'a> {
    engine: &'a mut Engine,
    rows: &'a mut dyn Rows,
    at: Reading,
    rng: &'a mut dyn CryptoRng,
}

/// Why a command has no answer of its own.
#[derive(Debug)]
pub(super) enum Refused {
    /// It broke a rule, or the rows failed.
    Engine(EngineError),
    /// There is no account.
    NoAccount,
}

/// A closure over a transaction, and who waits for its result.
pub(super) struct Job<T, F> {
    step: Option<F>,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, Refused>>,
}

impl<T, F> Job<T, F> {
    pub(super) fn new(step: F, reply: oneshot::Sender<Result<T, Refused>>) -> Self {
        Self { step: Some(step), result: None, reply }
    }
}

impl<T, F> Command for Job<T, F>
where
    T: Send,
    F: FnOnce(&mut Txn<'_>) -> Result<T, EngineError> + Send,
{
    fn run(&mut self, call: Running<'_>) -> Result<Vec<Action>, EngineError> {
        let Some(step) = self.step.take() else { return Ok(Vec::new()) };
        let (result, actions) = call.engine.txn(call.rows, call.at, call.rng, step)?;
        self.result = Some(result);
        Ok(actions)
    }

    fn answer(self: Box<Self>, failure: Option<EngineError>) {
        // a caller that hung up has no use for the answer
        let _ = self.reply.send(match (failure, self.result) {
            (Some(failure), _) => Err(Refused::Engine(failure)),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(Refused::Engine(EngineError::damaged("a command without result"))),
        });
    }

    fn refuse(self: Box<Self>) {
        let _ = self.reply.send(Err(Refused::NoAccount));
    }
}

/// Something to be handled.
pub(super) enum Event {
    /// For the engine.
    Input(Input),
    /// From the socket.
    Command(Box<dyn Command>),
}

/// The write side: one owner, one transaction at a time.
pub(super) struct Writer {
    pub(super) store: Arc<Store>,
    pub(super) engine: Option<Engine>,
    /// The counter file of the engine's device.
    pub(super) high_water_file: Option<HighWaterFile>,
}

/// What a committed batch leaves to be done.
pub(super) struct Outcome {
    /// In order.
    pub(super) actions: Vec<Action>,
    /// Newest event of the log.
    pub(super) newest: u64,
    /// How far the rows have come, if that is to be noted.
    high_water: Option<HighWater>,
}

impl Writer {
    /// Handles a batch in one transaction and answers its commands.
    ///
    /// # Errors
    /// [`RowsError`] if nothing was committed. The engine has then forgotten its connection, which must be cut.
    pub(super) fn handle(&mut self, batch: Vec<Event>) -> Result<Outcome, RowsError> {
        let Some(engine) = &mut self.engine else {
            refuse_all(batch);
            return Ok(Outcome { actions: Vec::new(), newest: 0, high_water: None });
        };
        let mut commands = Vec::new();
        let noted = self.high_water_file.as_mut().filter(|high_water_file| high_water_file.is_due());
        let outcome = self.store.transaction(|rows| {
            let outcome = run(engine, rows, batch, &mut commands)?;
            let high_water = noted.as_ref().map(|_| HighWater::of(rows)).transpose()?;
            Ok(Outcome { high_water, ..outcome })
        });
        if let Err(error) = &outcome {
            engine.forget();
            tracing::error!(%error, "nothing was stored");
        }
        for (command, failure) in commands {
            let failure = outcome.as_ref().err().map(|error: &RowsError| EngineError::Rows(error.clone())).or(failure);
            command.answer(failure);
        }
        if let (Some(high_water_file), Ok(Outcome { high_water: Some(high_water), .. })) = (noted, &outcome) {
            high_water_file.write(high_water);
        }
        outcome
    }
}

fn refuse_all(batch: Vec<Event>) {
    for event in batch {
        if let Event::Command(command) = event {
            command.refuse();
        }
    }
}

type Ran = (Box<dyn Command>, Option<EngineError>);

fn run(
    engine: &mut Engine,
    rows: &mut SealedRows<'_>,
    batch: Vec<Event>,
    commands: &mut Vec<Ran>,
) -> Result<Outcome, RowsError> {
    let (at, mut rng) = (clock::read(), rand::rng());
    let mut actions = Vec::new();
    let mut events = batch.into_iter();
    let mut outcome = Ok(());
    for event in events.by_ref() {
        outcome = one(engine, rows, event, commands, (at, &mut rng)).map(|more| actions.extend(more));
        if outcome.is_err() {
            break;
        }
    }
    // those behind a failure that ends the transaction are answered too, with that failure
    commands.extend(events.filter_map(|event| match event {
        Event::Command(command) => Some((command, None)),
        Event::Input(_) => None,
    }));
    outcome?;
    actions.extend(pump(engine, rows, at, &mut rng)?);
    Ok(Outcome { actions, newest: events::newest(rows)?, high_water: None })
}

/// One input behind its savepoint. Only what ends the whole transaction is an error here.
fn one(
    engine: &mut Engine,
    rows: &mut SealedRows<'_>,
    event: Event,
    commands: &mut Vec<Ran>,
    (at, rng): (Reading, &mut dyn CryptoRng),
) -> Result<Vec<Action>, RowsError> {
    let outcome = match event {
        Event::Input(input) => {
            let delivered = match &input {
                Input::Push(Push::Deliver(delivery)) => Some(delivery.id()),
                _ => None,
            };
            let outcome = rows.attempt(|rows| engine.handle(rows, input, at, rng));
            if let Err(error) = &outcome {
                tracing::error!(%error, "an input had no effect");
            }
            match (outcome, delivered) {
                (Err(error), Some(delivery)) if !matches!(error, EngineError::Rows(_)) => {
                    rows.attempt(|rows| engine.give_up(rows, &delivery, at, rng))
                }
                (outcome, _) => outcome,
            }
        }
        Event::Command(mut command) => {
            let outcome = rows.attempt(|rows| command.run(Running { engine, rows, at, rng }));
            let (actions, failure) = outcome.map_or_else(|error| (Vec::new(), Some(error)), |actions| (actions, None));
            let fatal = rows_error(failure.as_ref());
            commands.push((command, failure));
            fatal.map_or(Ok(actions), |error| Err(EngineError::Rows(error)))
        }
    };
    match outcome {
        Ok(actions) => Ok(actions),
        Err(EngineError::Rows(error)) => Err(error),
        Err(_) => Ok(Vec::new()),
    }
}

fn pump(
    engine: &mut Engine,
    rows: &mut SealedRows<'_>,
    at: Reading,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<Action>, RowsError> {
    match rows.attempt(|rows| engine.pump(rows, at, rng)) {
        Ok(actions) => Ok(actions),
        Err(EngineError::Rows(error)) => Err(error),
        Err(error) => {
            tracing::error!(%error, "what is due could not be done");
            Ok(Vec::new())
        }
    }
}

fn rows_error(failure: Option<&EngineError>) -> Option<RowsError> {
    match failure {
        Some(EngineError::Rows(error)) => Some(error.clone()),
        _ => None,
    }
}
