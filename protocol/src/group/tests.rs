//! A group's promises, told by people whose keys are public knowledge.

mod entitled;
mod explore;
mod properties;
mod shown;
mod told;
mod wishes;
mod world;
