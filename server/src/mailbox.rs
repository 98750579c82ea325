//! What the mailboxes promise: a message is in one durably before its sender hears `accepted`, and
//! stays until its device acknowledged it.

pub mod rules;
