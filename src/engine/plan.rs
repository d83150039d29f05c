//! Builds the graph of a suite.
