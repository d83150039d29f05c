//! Evaluation: metrics, robustness, statistics over seeds.
