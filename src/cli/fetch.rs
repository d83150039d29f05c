//! `seesaw fetch [DATASET…]`
