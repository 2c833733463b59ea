//! What the chart renders, and the files that are made from it: `config/install.yaml` and its README.

#![cfg(test)]

mod naming;
mod pod;
mod rendering;
mod signals;
mod values;
