//! `/remind 10m tea is ready`: says so ten minutes later, whatever is restarted meanwhile.
//!
//! The bot keeps nothing: chatd holds the reminder until its time (`at_ms`), and the place up to which requests were
//! handled (a consumer). The reminder's `client_id` is made of the request's id, so a bot that is killed between
//! the answer and its acknowledgement, and gets the request again, reminds once all the same.

mod request;

use std::path::{Path, PathBuf};
use std::time::Duration;

use chat_protocol::rpc::client::{CallError, Client, Events};
use chat_protocol::rpc::types::{EndReason, EventsSubscribe, Message, MsgSend, Since, SinceWord};
use chat_protocol::rpc::{Event, EventBody, Name, Target};
use clap::Parser;
use request::{Request, in_words};
use thiserror::Error;

/// Pause before chatd is called again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Remind people of what they ask for: `/remind 10m tea is ready`
#[derive(Debug, Parser)]
#[command(name = "reminder-bot", version)]
struct Cli {
    /// Where chatd listens; `chatctl rpc daemon.info` says where
    #[arg(env = "CHATD_SOCKET")]
    socket: PathBuf,
    /// Name under which chatd remembers what was handled
    #[arg(long, default_value = "reminder")]
    consumer: Name,
}

/// Why the bot gives up.
#[derive(Debug, Error)]
enum BotError {
    /// Another bot reads under the same name.
    #[error("the subscription ended: {0}; give each bot a --consumer of its own")]
    Ended(EndReason),
    /// chatd refuses what every bot needs.
    #[error(transparent)]
    Call(#[from] CallError),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BotError> {
    let cli = Cli::parse();
    let mut pause = PAUSES.0;
    loop {
        if let Ok(client) = Client::connect(&cli.socket).await {
            pause = PAUSES.0;
            serve(&client, &cli.consumer).await?;
        }
        say(&cli.socket, pause);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

#[expect(clippy::print_stderr, reason = "standard error is where a bot tells its service manager")]
fn say(socket: &Path, pause: Duration) {
    eprintln!("no chatd on {}; trying again in {}", socket.display(), in_words(pause));
}

/// Handles requests until chatd goes away.
async fn serve(client: &Client, consumer: &Name) -> Result<(), BotError> {
    let wanted = EventsSubscribe {
        consumer: Some(consumer.clone()),
        types: Some(vec!["message.new".to_owned()]),
        include_self: Some(false),
        ..EventsSubscribe::everything(Since::Word(SinceWord::Acked))
    };
    let mut events = client.events(wanted).await?;
    ready();
    while let Some(event) = events.next().await? {
        match handle(client, &events, &event).await {
            Err(BotError::Call(CallError::Disconnected)) => return Ok(()),
            outcome => outcome?,
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "whoever starts the bot waits for this line")]
fn ready() {
    println!("listening");
}

/// First the answer, then the acknowledgement: killed in between, the event comes again.
async fn handle(client: &Client, events: &Events, event: &Event) -> Result<(), BotError> {
    match event.body() {
        Some(EventBody::SubscriptionEnded(end)) => return Err(BotError::Ended(end.reason)),
        Some(EventBody::MessageNew(message)) => answer(client, &message).await?,
        _ => {}
    }
    if let Some(seq) = event.seq {
        events.ack(seq).await?;
    }
    Ok(())
}

async fn answer(client: &Client, message: &Message) -> Result<(), BotError> {
    // what is asked for in the room would be heard by everybody
    let Ok(to @ Target::User(_)) = message.chat.as_str().parse::<Target>() else { return Ok(()) };
    let Some(request) = Request::read(&message.text) else { return Ok(()) };
    let id = message.id.to_uuid();
    let said = match &request {
        Ok(request) => format!("I will remind you in {}", in_words(request.after)),
        Err(why) => why.to_string(),
    };
    send(client, MsgSend { client_id: Some(format!("said-{id}")), ..MsgSend::text(to.clone(), said) }).await?;
    if let Ok(request) = request {
        // counted from when the request was stored, so that it is the same message however often this is done
        let at_ms = message.stored_ms.saturating_add(millis(request.after));
        let reminder = MsgSend::text(to, request.what);
        send(client, MsgSend { client_id: Some(format!("remind-{id}")), at_ms: Some(at_ms), ..reminder }).await?;
    }
    Ok(())
}

/// Sends; a refusal concerns this message and is no reason to stop.
async fn send(client: &Client, message: MsgSend) -> Result<(), BotError> {
    match client.call(&message).await {
        Ok(_) => Ok(()),
        Err(CallError::Refused(refusal)) => {
            refused(&refusal.to_string());
            Ok(())
        }
        Err(lost) => Err(lost.into()),
    }
}

#[expect(clippy::print_stderr, reason = "standard error is where a bot tells its service manager")]
fn refused(why: &str) {
    eprintln!("not sent: {why}");
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
