//! Tests of the whole program and of whole rooms against recorded references.

mod methods;
mod support;
