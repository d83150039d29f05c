//! Random weights by name.

use std::collections::{BTreeMap, HashMap};

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::random::Stream;

/// A tensor's elements, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elements {
    Float(Vec<f32>),
    Long(Vec<i64>),
}

impl Elements {
    /// Little-endian.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Elements::Float(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Elements::Long(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Elements::Float(values) => values.len(),
            Elements::Long(values) => values.len(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub shape: Vec<usize>,
    pub elements: Elements,
}

/// The tensors of a checkpoint. Each is drawn from a stream of its own, so that they do not depend on each other.
pub(super) struct Tensors<'a> {
    seed: u64,
    checkpoint: &'a str,
    pub all: BTreeMap<String, Tensor>,
}

impl<'a> Tensors<'a> {
    pub fn new(seed: u64, checkpoint: &'a str) -> Self {
        Tensors { seed, checkpoint, all: BTreeMap::new() }
    }

    /// mean + deviation · a standard normal number.
    pub fn normal(&mut self, name: &str, shape: &[usize], mean: f32, deviation: f32) {
        let mut values = vec![0.0; shape.iter().product()];
        Stream::new(self.seed, &["mirror", self.checkpoint, name]).fill_normal_f32(&mut values);
        values.iter_mut().for_each(|value| *value = mean + deviation * *value);
        self.insert(name, shape, Elements::Float(values));
    }

    pub fn long(&mut self, name: &str, shape: &[usize], values: Vec<i64>) {
        self.insert(name, shape, Elements::Long(values));
    }

    fn insert(&mut self, name: &str, shape: &[usize], elements: Elements) {
        let known = self.all.insert(name.to_owned(), Tensor { shape: shape.to_vec(), elements });
        debug_assert!(known.is_none(), "{name} is made twice");
    }

    /// `KEY.weight` [outputs, inputs] that keeps the variance of its inputs, and `KEY.bias`.
    pub fn linear(&mut self, key: &str, outputs: usize, inputs: usize) {
        self.product(&format!("{key}.weight"), &[outputs, inputs]);
        self.normal(&format!("{key}.bias"), &[outputs], 0.0, 0.1);
    }

    /// A weight without a bias; its first axis is that of the outputs.
    pub fn product(&mut self, name: &str, shape: &[usize]) {
        let inputs: usize = shape[1..].iter().product();
        self.normal(name, shape, 0.0, 1.0 / (inputs as f32).sqrt());
    }

    /// A layer norm's scale and shift.
    pub fn norm(&mut self, key: &str, size: usize, [scale, shift]: [&str; 2]) {
        self.normal(&format!("{key}.{scale}"), &[size], 1.0, 0.1);
        self.normal(&format!("{key}.{shift}"), &[size], 0.0, 0.1);
    }

    /// The bytes of a safetensors file, as transformers writes it.
    pub fn to_safetensors(&self) -> anyhow::Result<Vec<u8>> {
        let bytes: Vec<Vec<u8>> = self.all.values().map(|tensor| tensor.elements.bytes()).collect();
        let mut views = Vec::new();
        for ((name, tensor), bytes) in self.all.iter().zip(&bytes) {
            let dtype = match tensor.elements {
                Elements::Float(_) => Dtype::F32,
                Elements::Long(_) => Dtype::I64,
            };
            views.push((name.as_str(), TensorView::new(dtype, tensor.shape.clone(), bytes)?));
        }
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }
}
