//! Initial values: PyTorch's default for linear layers, weights and biases uniform in ±1/√(fan-in).

use tch::Tensor;

use super::parameters::ParameterId;
use crate::random::Stream;

/// A float64 tensor of this size on the CPU. Each parameter has a random stream of its own, so that a model with one
/// more part starts with the same numbers everywhere else.
pub fn uniform(id: ParameterId, size: &[i64], fan_in: i64, seed: u64) -> Tensor {
    let bound = 1.0 / (fan_in as f64).sqrt();
    let mut stream = Stream::new(seed, &["initial weights", &id.to_string()]);
    let count = size.iter().product::<i64>();
    let values: Vec<f64> = (0..count).map(|_| (2.0 * stream.uniform() - 1.0) * bound).collect();
    Tensor::from_slice(&values).view(size)
}
