//! Whether a name that was typed is anybody's: a wrong one must not look like a block that holds, or an empty history.

use std::time::Duration;

use chat_protocol::ids::Username;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{ChatGet, IdentityState, UserLookup};
use chat_protocol::rpc::{Kind, Method, RpcError, Target};

use crate::error::Failure;
use crate::output::Output;
use crate::session::Session;

/// A server that takes longer to say whether a name exists is not waited for.
const WITHIN: Duration = Duration::from_secs(5);
/// What helps, whatever the verb.
const HINT: &str = "check the name; `chatctl who` shows who is online";

/// Fails if one of these is a user that the server does not know. Those met before are not asked for, and where the
/// server cannot be asked, it is said, and the verb goes on.
pub(super) async fn require(client: &Client, targets: &[Target], out: &mut Output) -> Result<(), Failure> {
    for target in targets {
        if let Target::User(user) = target
            && !is_met(client, target).await
        {
            look_up(client, user, out).await?;
        }
    }
    Ok(())
}

/// Whether the daemon has an identity of theirs.
async fn is_met(client: &Client, target: &Target) -> bool {
    let known = client.call(&ChatGet { to: target.clone() }).await;
    known.is_ok_and(|chat| chat.identity.is_some_and(|state| state != IdentityState::New))
}

async fn look_up(client: &Client, user: &Username, out: &mut Output) -> Result<(), Failure> {
    let question = UserLookup { users: vec![user.clone()] };
    let why = match tokio::time::timeout(WITHIN, client.call(&question)).await {
        Ok(Ok(found)) if found.users.iter().any(|known| known.user == *user && known.exists) => return Ok(()),
        Ok(Ok(_)) => {
            let refusal = RpcError::new(Kind::NotFound, format!("there is no user {user}"));
            return Err(Failure::Refused(refusal.with_hint(HINT)));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it takes too long".to_owned(),
    };
    out.talk(&format!("whether there is a user {user} could not be asked: {why}"));
    Ok(())
}

/// A call about somebody who exists.
pub(super) async fn about<M: Method>(
    user: Username,
    params: &M,
    human: impl FnOnce(&M::Answer) -> Vec<String>,
    session: &mut Session,
) -> Result<(), Failure> {
    in_chat(&Target::User(user), params, human, session).await
}

/// A call about a chat, with somebody who exists if it is one with somebody.
pub(super) async fn in_chat<M: Method>(
    to: &Target,
    params: &M,
    human: impl FnOnce(&M::Answer) -> Vec<String>,
    session: &mut Session,
) -> Result<(), Failure> {
    let client = session.client().await?;
    require(&client, std::slice::from_ref(to), &mut session.out).await?;
    let answer = client.call(params).await?;
    session.out.answer(&answer, human)
}
