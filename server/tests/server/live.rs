//! The real server over real TCP, asked by a small client that can also misbehave.

mod accounts;
mod attacks;
mod costs;
mod database;
mod devices;
mod groups;
mod mailboxes;
mod memory;
mod passwords;
mod process;
mod reload;
mod restored;
mod room;
mod status;
mod world;

use chat_server::fixtures::client;
