//! Training: the loop ([`fit`]), its settings ([`config`]), the optimisers ([`optimizer`]) and what is measured at each step
//! whatever the method ([`diagnostics`]).

mod adam;
pub mod config;
pub mod diagnostics;
pub mod fit;
pub mod impaired;
pub mod optimizer;
