//! The chart on a real API server: what it installs is accepted, upgraded, rolled back and uninstalled; who may do what; and
//! what happens to numbers meanwhile.

#![cfg(test)]

mod artefact;
mod gitops;
mod lifecycle;
mod moves;
mod office;
mod people;
mod release;
mod rights;
