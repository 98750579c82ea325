//! A group's promises, told by people whose keys are public knowledge.

mod devices;
mod entitled;
mod explore;
mod links;
mod properties;
mod shown;
mod told;
mod wishes;
mod world;
