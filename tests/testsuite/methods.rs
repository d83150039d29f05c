//! Every method agrees with the recorded traces of an independent PyTorch implementation, step for step, in float64.
//!
//! `tests/fixtures/methods/README.md` says how the traces were made. Each step is computed twice: from the recorded
//! parameters of the step before, so that a wrong step is found where it happens, and from the parameters that our own
//! steps led to.

use std::collections::BTreeMap;

use seesaw::methods::{Draw, Method, MethodOptions, Modulation};
use seesaw::model::fusion::Fusion;
use seesaw::model::task::{BinaryHead, Task};
use seesaw::model::{Batch, Layer, Model, ParameterId, Shape};
use seesaw::terms::TaskKind;
use seesaw::training::optimizer::{Optimizer, OptimizerOptions};
use serde_json::Value;
use tch::Tensor;

use crate::support::{fixtures, json, tensors};

/// Relative to max(1, largest magnitude).
const TOLERANCE: f64 = 1e-9;

type Tensors = BTreeMap<String, Tensor>;

/// The recordings of the methods that exist here, by the name of their file, and the method that each is a setting of.
const RECORDED: &[(&str, &str)] = &[
    ("baseline", "baseline"),
    ("mslr", "mslr"),
    ("ogm-ge", "ogm-ge"),
    ("agm", "agm"),
    ("balgrad", "balgrad"),
    ("balgrad-reweighting", "balgrad"),
    ("balgrad-projection", "balgrad"),
];

#[test]
fn methods_agree_with_their_recorded_traces() {
    let _no_grad = tch::no_grad_guard();
    let folder = fixtures("methods");
    let index = json(&folder.join("index.json"));
    let listed: Vec<&str> = index["methods"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let mut runs = 0;
    let mut compared = Compared::default();
    for (recording, method) in RECORDED {
        assert!(listed.contains(recording), "index.json does not list {recording}");
        let runs_of_method = json(&folder.join(format!("{recording}.json")));
        let recorded = tensors(&folder.join(format!("{recording}.safetensors")));
        for (name, run) in runs_of_method["runs"].as_object().unwrap() {
            replay(&index, &folder, method, name, run, &recorded, &mut compared);
            runs += 1;
        }
    }
    println!("{runs} runs, {} tensors, {} scalars agree to {TOLERANCE}", compared.tensors, compared.scalars);
    // Nothing passes by being left out: every run has five steps with parameters of at least six tensors, twice.
    assert!(compared.tensors >= runs * 5 * 6 * 2 && compared.scalars >= runs * 5 && runs >= RECORDED.len() * 9);
}

#[derive(Default)]
struct Compared {
    tensors: usize,
    scalars: usize,
}

fn replay(
    index: &Value,
    folder: &std::path::Path,
    method: &str,
    name: &str,
    run: &Value,
    recorded: &Tensors,
    compared: &mut Compared,
) {
    let [case_name, fusion, optimizer, _variant] = name.split('/').collect::<Vec<_>>()[..] else {
        panic!("the run's name {name} should be CASE/FUSION/OPTIMISER/VARIANT");
    };
    let case = index["cases"].as_array().unwrap().iter().find(|case| case["name"] == case_name).unwrap();
    let inputs = tensors(&folder.join(case["inputs"].as_str().unwrap()));
    let options = method_options(method, &run["options"]);
    let draws_given = run["options"]["noise"] == "given";
    let shape = shape(case, fusion, options.needs_heads());
    let optimizer_options = optimizer_options(&index["optimizers"][optimizer], optimizer);
    let steps = index["steps"].as_u64().unwrap() as i64;

    let mut own = model(shape, &inputs, fusion, |_| None);
    let mut own_optimizer = Optimizer::new(optimizer_options);
    // A method may carry something from step to step, so that each of the two ways has its own.
    let build = || match &options {
        MethodOptions::OgmGe(options) if draws_given => {
            Box::new(Modulation::with_noise(options.clone(), given_noise(&inputs))) as Box<dyn Method>
        }
        options => options.build(0),
    };
    let (mut own_method, mut method_on_recorded) = (build(), build());
    for t in 0..steps {
        let epoch = t as u32 + 1;
        own_method.begin_epoch(epoch);
        method_on_recorded.begin_epoch(epoch);
        let at = |key: &str| inputs[key].select(0, t);
        let batch = Batch { x_v: at("x_v"), x_l: at("x_l"), y: at("y") };
        // A single step from the recorded parameters.
        let before =
            |parameter: ParameterId| (t > 0).then(|| recorded[&format!("{name}/params/{parameter}")].select(0, t - 1));
        let from_recorded = model(shape, &inputs, fusion, before);
        let step = method_on_recorded.step(&from_recorded, &batch);
        for (parameter, gradient) in &step.gradients {
            if let Some(expected) = recorded.get(&format!("{name}/gradient/{parameter}")) {
                close(
                    &format!("{method}: {name}, step {t}, gradient of {parameter}"),
                    gradient,
                    &expected.select(0, t),
                );
                compared.tensors += 1;
            }
        }
        for (scalar, value) in &step.scalars {
            compared.scalars += usize::from(scalar_close(name, t, scalar, value, &run["scalars"]));
        }
        // A step on our own way.
        let step = own_method.step(&own, &batch);
        own_optimizer.step(&mut own, &step.gradients, |role| own_method.learning_rate_factor(role));
        for (parameter, value) in &own.parameters {
            let expected = recorded[&format!("{name}/params/{parameter}")].select(0, t);
            close(&format!("{method}: {name}, after step {t}, {parameter}"), value, &expected);
            compared.tensors += 1;
        }
        // Every step is an epoch here.
        let metric = |m: &str| inputs[&format!("mslr.metric_{m}")].double_value(&[t]);
        let scores = own_method.wants_unimodal_scores().then(|| [metric("v"), metric("l")]);
        own_method.end_epoch(scores);
        method_on_recorded.end_epoch(scores);
    }
    // The traces list a parameter if and only if it moves.
    let moving = recorded.keys().filter(|key| key.starts_with(&format!("{name}/params/"))).count();
    assert_eq!(moving, own.parameters.len(), "{method}: {name}");
}

fn method_options(method: &str, options: &Value) -> MethodOptions {
    let mut table = serde_json::Map::from_iter([("method".to_owned(), Value::from(method))]);
    table.extend(options.as_object().unwrap().iter().map(|(key, value)| (key.replace('_', "-"), value.clone())));
    if table.get("noise").is_some_and(|noise| noise == "given") {
        table.insert("noise".to_owned(), "gaussian".into());
    }
    serde_json::from_value(table.into()).unwrap()
}

/// The recorded draws: each parameter's, step by step.
fn given_noise(inputs: &Tensors) -> Draw {
    let noises: Vec<(String, Tensor)> = inputs
        .iter()
        .filter_map(|(key, noise)| Some((key.strip_prefix("ogm.noise.")?.to_owned(), noise.copy())))
        .collect();
    let mut drawn: BTreeMap<ParameterId, i64> = BTreeMap::new();
    Box::new(move |parameter, _| {
        let step = drawn.entry(parameter).or_default();
        let (_, noise) = noises.iter().find(|(name, _)| parameter.to_string() == *name).expect("a recorded draw");
        let noise = noise.select(0, *step);
        *step += 1;
        noise
    })
}

fn shape(case: &Value, fusion: &str, heads: bool) -> Shape {
    let number = |key: &str| case[key].as_i64().unwrap();
    let (kind, classes, binary_head) = match case["kind"].as_str().unwrap() {
        "multiclass" => (TaskKind::Multiclass, number("classes"), BinaryHead::TwoLogits),
        "binary" => (TaskKind::Binary, number("classes"), BinaryHead::TwoLogits),
        "binary-logit" => (TaskKind::Binary, number("classes"), BinaryHead::SingleLogit),
        "multilabel" => (TaskKind::Multilabel, number("classes"), BinaryHead::TwoLogits),
        other => panic!("unknown kind of task {other}"),
    };
    Shape {
        task: Task::new(kind, classes as usize, binary_head),
        fusion: serde_json::from_value::<Fusion>(fusion.into()).unwrap(),
        image_features: number("d_v"),
        text_features: number("d_l"),
        embedding: number("d"),
        heads,
    }
}

fn optimizer_options(options: &Value, name: &str) -> OptimizerOptions {
    let number = |key: &str| options[key].as_f64().unwrap();
    match name {
        "sgd" => OptimizerOptions::Sgd {
            learning_rate: number("lr"),
            momentum: number("momentum"),
            weight_decay: number("weight_decay"),
        },
        "adam" => OptimizerOptions::Adam {
            learning_rate: number("lr"),
            beta1: number("beta1"),
            beta2: number("beta2"),
            epsilon: number("eps"),
            weight_decay: number("weight_decay"),
        },
        other => panic!("unknown optimiser {other}"),
    }
}

/// A model with given parameters, else the initial ones of the inputs.
fn model(shape: Shape, inputs: &Tensors, fusion: &str, given: impl Fn(ParameterId) -> Option<Tensor>) -> Model {
    let initial = |id: ParameterId| match id.layer {
        Layer::Embedding(_) | Layer::Head(_) => inputs[&format!("init/{id}")].copy(),
        _ => inputs[&format!("init/{fusion}/{id}")].copy(),
    };
    let weights = shape.parameters().into_iter().map(|(id, ..)| {
        let value = given(id).map_or_else(|| initial(id), |value| value.copy());
        (id.to_string(), value)
    });
    Model::with(shape, weights.collect()).unwrap()
}

fn close(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let scale = expected.abs().max().double_value(&[]).max(1.0);
    let difference = (found - expected).abs().max().double_value(&[]);
    assert!(difference <= TOLERANCE * scale, "{what}: differs by {difference:e}");
}

/// Compares a scalar if the trace has it; whether it has.
fn scalar_close(name: &str, t: i64, scalar: &str, found: &Tensor, scalars: &Value) -> bool {
    let Some(expected) = scalars.get(scalar).and_then(|values| values[t as usize].as_f64()) else { return false };
    let found = found.double_value(&[]);
    let difference = (found - expected).abs();
    assert!(difference <= TOLERANCE * expected.abs().max(1.0), "{name}, step {t}: {scalar} is {found}, not {expected}");
    true
}
