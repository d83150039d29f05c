//! Impairments: what is done to one modality of the test samples.
