//! A sign of life on work that takes its time, for whoever looks at standard error.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that is over sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(400);
/// Between two pictures.
const BEAT: Duration = Duration::from_millis(120);

/// Waits for `work`; on a terminal a line says what is waited for, and for how long, and goes when it is over.
pub(crate) async fn during<T>(what: &'static str, json: bool, work: impl Future<Output = T>) -> T {
    let terminal = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|it| it != "dumb");
    if json || !terminal {
        return work.await;
    }
    let mut work = std::pin::pin!(work);
    // Cancel-safe: the work is only borrowed, and goes on below.
    if let Ok(done) = tokio::time::timeout(PATIENCE, work.as_mut()).await {
        return done;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style.tick_chars("|/-\\ "));
    }
    bar.enable_steady_tick(BEAT);
    let done = work.await;
    bar.finish_and_clear();
    done
}
