//! `seesaw doctor`
