//! Both phone companies over real sockets: what goes out, what is made of what comes back, and what never goes out.

#![cfg(test)]

mod listener;
mod setup;
mod usage;
mod wire;
