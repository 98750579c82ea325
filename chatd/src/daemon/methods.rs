//! What each method of the socket does: one `Handle` for each, in a file for each noun, as the API defines them.
//!
//! Each is one step of the engine, one look at the rows, one question to the server, or a few of these.

mod account;
mod amends;
mod chats;
mod contacts;
mod daemon;
mod devices;
mod exports;
mod identity;
mod kv;
mod messages;
mod people;
mod profiles;
mod requests;
mod search;
mod settings;
mod tokens;
