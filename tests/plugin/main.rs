//! The kubectl plugin on a real control plane, found and run by kubectl itself, against an emulated phone company.

#![cfg(test)]

mod adopting;
mod audit;
mod completion;
mod errors;
mod import;
mod installation;
mod orphans;
mod people;
mod plan;
mod plugin;
mod reading;
mod rights;
mod search;
