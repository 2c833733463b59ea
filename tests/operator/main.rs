//! The operator on a real control plane, against an emulated phone company: processes, RBAC and sockets as in production.

#![cfg(test)]

mod accounts;
mod adoption;
mod audit;
mod cluster;
mod deletion;
mod drift;
mod limits;
mod main_job;
mod messages;
mod pictures;
mod prices;
mod prometheus;
mod reasons;
mod replicas;
mod running;
mod search;
mod secrets;
mod signals;
mod traces;
mod trust;
mod upgrade;
mod waiting;
