//! Tests of the whole program, and of whole rooms against recorded references.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail and speak as tests do")]

mod added_method;
mod between;
mod browser;
mod bundle;
mod claims;
mod command_line;
mod data;
mod documents;
mod fetch;
mod fetch_open;
mod house;
mod http_server;
mod locks;
mod methods;
mod mirror;
mod paper;
mod processors;
mod project;
mod remote;
mod runs;
mod schema;
mod selections;
mod shared;
mod slurm;
mod storage;
mod suites;
mod support;
mod surroundings;
mod terminal;
