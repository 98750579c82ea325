//! `profile`: what accounts say of themselves, never as if it were who they are.

use chat_protocol::rpc::types::{self, ProfileGet, ProfileSet};

use super::send::text;
use crate::cli::profile::{Profile, ProfileVerb};
use crate::error::Failure;
use crate::output::text::escape;
use crate::session::Session;

/// `chatctl profile …`
pub(super) async fn run(profile: Profile, session: &mut Session) -> Result<(), Failure> {
    match profile.what {
        None => session.simple(&ProfileGet { user: None }, own).await,
        Some(ProfileVerb::Set(said)) => {
            let about = said.about.map(|about| text(Some(about), session)).transpose()?;
            let params = ProfileSet { display_name: said.name, about, bot: said.bot };
            session.simple(&params, own).await
        }
        Some(ProfileVerb::Show(who)) => {
            let name = format!("@{}", escape(who.user.as_str()));
            let line = |profile: &types::Profile| vec![format!("{name}  {}", claims(profile))];
            session.simple(&ProfileGet { user: Some(who.user) }, line).await
        }
    }
}

fn own(profile: &types::Profile) -> Vec<String> {
    vec![claims(profile)]
}

/// On a line, each behind what it is; a name stands in quotes, so that it cannot pass for anything else.
pub(super) fn claims(profile: &types::Profile) -> String {
    let said = [("calls themselves", &profile.display_name), ("about", &profile.about)];
    let texts = said.into_iter().filter_map(|(what, text)| Some(format!("{what}: \"{}\"", quoted(text.as_ref()?))));
    let parts: Vec<String> = texts.chain(profile.bot.then(|| "bot".to_owned())).collect();
    if parts.is_empty() { "says nothing".to_owned() } else { parts.join("  ") }
}

fn quoted(text: &str) -> String {
    escape(text).replace('"', "\\\"")
}
