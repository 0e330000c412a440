//! Names, roles and replacement of what modules hold, for every form that the derive accepts.

use chainrule::nn::{Role, Visitor};
use chainrule::prelude::*;
use std::marker::PhantomData;

fn tensor(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape)
}

fn names(module: &(impl Module + ?Sized)) -> Vec<String> {
    module.parameters().into_iter().map(|(name, _)| name).collect()
}

#[derive(Module)]
struct Leafy {
    weight: Tensor,
    r#type: Option<Tensor>,
}

#[derive(Module)]
struct Unit;

#[derive(Module)]
struct Transparent(Leafy);

#[derive(Module)]
struct Numbered(Tensor, usize, Leafy);

#[derive(Module)]
enum Layer {
    Dense(Leafy),
    Two(Tensor, Tensor),
    Named { scale: Tensor, width: usize },
    Nothing,
}

#[derive(Module)]
#[expect(dead_code)]
enum Never {}

/// A setting that is no module.
struct Setting;

#[derive(Module)]
struct Generic<'a, M, const N: usize, T>
where
    T: Clone,
{
    inner: [M; N],
    borrowed: &'a mut Leafy,
    #[module(skip)]
    setting: (Setting, T),
}

#[derive(Module)]
struct Everything {
    layers: Vec<Layer>,
    boxed: Box<dyn Module>,
    pair: (Tensor, Unit),
    none: Option<Leafy>,
    transparent: Transparent,
    numbered: Numbered,
    #[module(buffer)]
    running: (Tensor, Leafy),
    #[module(buffer)]
    count: Tensor,
    text: String,
    rate: f64,
    activation: Activation,
    dtype: DType,
    phantom: PhantomData<Setting>,
    #[module(skip)]
    setting: Setting,
    #[module(skip)]
    unseen: Tensor,
}

fn leafy(optional: bool) -> Leafy {
    Leafy { weight: tensor(&[2, 3]), r#type: optional.then(|| tensor(&[3])) }
}

fn everything() -> Everything {
    Everything {
        layers: vec![
            Layer::Dense(leafy(true)),
            Layer::Two(tensor(&[1]), tensor(&[2])),
            Layer::Named { scale: tensor(&[4]), width: 4 },
            Layer::Nothing,
        ],
        boxed: Box::new(leafy(false)),
        pair: (tensor(&[5]), Unit),
        none: None,
        transparent: Transparent(leafy(false)),
        numbered: Numbered(tensor(&[6]), 6, leafy(true)),
        running: (tensor(&[7]), leafy(false)),
        count: tensor(&[]),
        text: "a".into(),
        rate: 0.5,
        activation: Activation::Relu,
        dtype: DType::F32,
        phantom: PhantomData,
        setting: Setting,
        unseen: tensor(&[8]),
    }
}

#[test]
fn names_follow_fields_positions_and_indices() {
    let all = [
        "layers.0.weight",
        "layers.0.type",
        "layers.1.0",
        "layers.1.1",
        "layers.2.scale",
        "boxed.weight",
        "pair.0",
        "transparent.weight",
        "numbered.0",
        "numbered.2.weight",
        "numbered.2.type",
    ];
    let module = everything();
    assert_eq!(names(&module), all);
    let buffers = ["running.0", "running.1.weight", "count"];
    let mut state: Vec<(String, Role)> = Vec::new();
    module.walk(&mut Visitor::new(&mut |name, role, _| state.push((name.to_string(), role))));
    let parameters = all.iter().map(|name| (name.to_string(), Role::Parameter));
    let buffers = buffers.iter().map(|name| (name.to_string(), Role::Buffer));
    assert_eq!(state, parameters.chain(buffers).collect::<Vec<_>>());
    assert_eq!(module.parameter_count(), 6 + 3 + 1 + 2 + 4 + 6 + 5 + 6 + 6 + 6 + 3);
    // Fields that are skipped or plain are still there to be used.
    let Setting = module.setting;
    assert_eq!((module.unseen.len(), module.text.as_str(), module.rate), (8, "a", 0.5));
    assert_eq!((module.activation, module.dtype, module.phantom), (Activation::Relu, DType::F32, PhantomData));
    assert!(matches!(module.layers[2], Layer::Named { width: 4, .. }) && module.none.is_none());
    assert_eq!(module.numbered.1, 6);
}

#[test]
fn generic_modules_ask_for_modules_only_where_they_are_visited() {
    let mut other = leafy(false);
    let mut module = Generic { inner: [leafy(false), leafy(true)], borrowed: &mut other, setting: (Setting, 1) };
    let meant = ["inner.0.weight", "inner.1.weight", "inner.1.type", "borrowed.weight"];
    assert_eq!(names(&module), meant);
    module.visit_mut(&mut |_, tensor| *tensor = tensor.ones_like());
    assert_eq!(module.setting.1, 1);
    assert_eq!(other.weight.sum().item().unwrap(), 6.0);
}

#[test]
fn visiting_and_changing_reach_the_same_tensors_in_the_same_order() {
    let mut module = everything();
    let before = names(&module);
    let mut changed = Vec::new();
    module.visit_mut(&mut |name, tensor| {
        changed.push(name.to_string());
        *tensor = Tensor::full(tensor.shape(), changed.len() as f64, DType::F32);
    });
    assert_eq!(changed, before);
    for (at, (name, tensor)) in module.parameters().iter().enumerate() {
        assert_eq!(tensor.max().item().unwrap(), at as f64 + 1.0, "{name}");
    }
    assert_eq!(module.running.0.max().item().unwrap(), 0.0, "a buffer is no parameter");
}

/// What is missing, not expected and of another type is all named, and nothing has changed.
#[test]
fn a_state_that_does_not_fit_is_refused_as_a_whole() {
    let ones = |module: &Leafy| module.state().into_iter().map(|(name, t)| (name, t.ones_like())).collect::<Vec<(String, Tensor)>>();
    let mut module = leafy(true);
    let good = ones(&module);
    let mut wrongs: Vec<(Vec<(String, Tensor)>, &str)> = Vec::new();
    let mut changed = |change: fn(&mut Vec<(String, Tensor)>), message| {
        let mut state = good.clone();
        change(&mut state);
        wrongs.push((state, message));
    };
    changed(|state| drop(state.remove(1)), "missing: type");
    changed(|state| state.push(("bias".into(), Tensor::ones([3]))), "not expected: bias");
    changed(|state| state.push(state[0].clone()), "not expected: weight");
    changed(|state| state[0].1 = Tensor::ones([3, 2]), "weight is f32 [3, 2], the model needs f32 [2, 3]");
    changed(|state| state[0].1 = state[0].1.cast(DType::F64), "weight is f64 [2, 3], the model needs f32 [2, 3]");
    changed(|state| state[0].0 = "wieght".into(), "missing: weight; not expected: wieght");
    changed(|state| state.clear(), "missing: weight, type");
    for (state, message) in wrongs {
        let error = module.load_state(&state).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(module.weight.sum().item().unwrap(), 0.0);
    }
    module.load_state(&good).unwrap();
    assert_eq!(module.weight.sum().item().unwrap(), 6.0);
}

#[test]
fn long_lists_of_differences_are_cut_in_the_message_only() {
    let mut many: Vec<Tensor> = (0..40).map(|_| Tensor::zeros([1])).collect();
    let error = many.load_state(&[]).unwrap_err();
    assert_eq!(error.missing.len(), 40);
    assert!(error.to_string().contains("6, 7 and 32 more;"), "{error}");
}

#[test]
fn a_tensor_in_two_places_stays_one() {
    #[derive(Module)]
    struct Tied {
        token: Embedding,
        head: Linear,
    }
    let mut rng = Rng::new(1);
    let token = Embedding::new(5, 3, &mut rng);
    let head = Linear { weight: token.weight.clone(), bias: None };
    let mut module = Tied { token, head };
    let one = |module: &Tied| assert!(module.token.weight.is(&module.head.weight));
    assert_eq!(module.parameter_count(), 15);
    module.initialize().unwrap();
    one(&module);
    module.cast_parameters(DType::F64);
    one(&module);
    assert_eq!(module.head.weight.dtype(), DType::F64);
    module.load_state(&module.state()).unwrap();
    one(&module);
}

#[test]
fn initialize_draws_the_numbers_that_would_be_drawn_anyway() {
    let new = || Mlp::new(&[3, 4, 2], Activation::Relu, &mut Rng::new(5));
    let (mut drawn, recorded) = (new(), new());
    drawn.initialize().unwrap();
    for ((name, a), (_, b)) in drawn.parameters().iter().zip(recorded.parameters()) {
        assert!(a.inputs().is_empty(), "{name} is a leaf");
        assert_eq!(a.origin().scope(), Some(name.as_str()));
        assert_eq!(a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap(), "{name}");
        let widest = if name.starts_with("layers.0") { 1.0 / 3f32.sqrt() } else { 0.5 };
        assert!(a.to_vec::<f32>().unwrap().iter().all(|v| v.abs() <= widest), "{name}");
    }
}

#[test]
fn layers_name_what_does_not_fit() {
    let mut rng = Rng::new(0);
    let message = |tensor: Tensor| tensor.eval().unwrap_err().to_string();
    let linear = Linear::new(3, 2, &mut rng);
    for x in [Tensor::ones([5, 4]), Tensor::ones(())] {
        let text = message(linear.forward(&x));
        assert!(text.contains("linear at") && text.contains("weight [2, 3] [outputs, inputs]"), "{text}");
        assert!(text.contains("module.rs"), "the line of the call is named: {text}");
    }
    let text = message(Dropout::new(1.0).forward(&Tensor::ones([2]), &mut Mode::Evaluate));
    assert!(text.contains("0 <= p < 1"), "{text}");
    let heads = MultiHeadAttention::new(6, 4, &mut rng);
    let text = message(heads.forward(&Tensor::ones([1, 2, 6])));
    assert!(text.contains("4 heads over an input of [1, 2, 6]"), "{text}");
    let text = message(Conv2d::grouped(3, 4, 3, 2, &mut rng).forward(&Tensor::ones([1, 3, 5, 5])));
    assert!(text.contains("3 channels cannot be parted into 2 groups"), "{text}");
    let table = Embedding::new(4, 2, &mut rng);
    let text = message(table.forward(&Tensor::from_slice(&[0i64, 4], [2])));
    assert!(text.contains('4'), "{text}");
    let text = message(Linear::new(usize::MAX, 2, &mut rng).weight);
    assert!(text.contains("too large"), "{text}");
}

/// The layer against the sum written out.
#[test]
fn linear_sums_over_the_last_axis_whatever_comes_before() {
    let layer = Linear::new(3, 2, &mut Rng::new(4));
    let (w, b) = (layer.weight.to_vec::<f32>().unwrap(), layer.bias.as_ref().unwrap().to_vec::<f32>().unwrap());
    for leading in [vec![], vec![4], vec![2, 2], vec![2, 1, 2]] {
        let shape: Vec<usize> = leading.iter().copied().chain([3]).collect();
        let x = Tensor::randn(&shape, &mut Rng::new(9));
        let values = x.to_vec::<f32>().unwrap();
        let y = layer.forward(&x);
        assert_eq!(y.shape()[..leading.len()], leading);
        for (at, y) in y.to_vec::<f32>().unwrap().into_iter().enumerate() {
            let (row, out) = (at / 2, at % 2);
            let sum: f32 = (0..3).map(|i| values[row * 3 + i] * w[out * 3 + i]).sum();
            assert!((y - sum - b[out]).abs() < 1e-5);
        }
    }
}

#[test]
fn recurrent_layers_are_stacked_and_go_both_ways() {
    use chainrule::functions::Cell;
    let layers = Recurrent::stacked(Cell::Gru, 3, 4, 2, true, &mut Rng::new(0));
    let shapes: Vec<(String, Vec<usize>)> = layers.parameters().into_iter().map(|(name, t)| (name, t.shape().to_vec())).collect();
    assert_eq!(shapes.len(), 16);
    assert_eq!(shapes[0], ("layers.0.forward.input".into(), vec![12, 3]));
    assert_eq!(shapes[12], ("layers.1.backward.input".into(), vec![12, 8]));
    let x = Tensor::randn([2, 5, 3], &mut Rng::new(1));
    let (y, last) = layers.run(&x, None, None);
    let close = |a: &Tensor, b: &Tensor| (a - b).max_norm().item().unwrap() < 1e-6;
    assert_eq!((y.shape(), last.len()), (&[2, 5, 8][..], 4));
    // Forwards, the last state is the last output; backwards, the first.
    assert!(close(&last[2].hidden, &y.at((.., -1, ..4))) && close(&last[3].hidden, &y.at((.., 0, 4..))));
    // What is run in two parts is what is run in one.
    let ahead = Recurrent::new(Cell::Lstm, 3, 4, &mut Rng::new(2));
    let (whole, _) = ahead.run(&x, None, None);
    let (_, middle) = ahead.run(&x.at((.., ..2)), None, None);
    let (rest, _) = ahead.run(&x.at((.., 2..)), Some(&middle), None);
    assert!(close(&rest, &whole.at((.., 2..))));
    let text = ahead.forward(&Tensor::ones([2, 5, 4])).eval().unwrap_err().to_string();
    assert!(text.contains("recurrent at") && text.contains("module.rs"), "{text}");
}

#[test]
fn norms_are_those_of_the_engine() {
    use chainrule::functions::{group_norm, rms_norm};
    let x = Tensor::randn([2, 4, 3], &mut Rng::new(1));
    let norm = GroupNorm { weight: Tensor::randn([4], &mut Rng::new(2)), ..GroupNorm::new(2, 4) };
    let expected = group_norm(&x, 1, 2, Some(&norm.weight), Some(&norm.bias), 1e-5);
    assert_eq!(norm.forward(&x).to_vec::<f32>().unwrap(), expected.to_vec::<f32>().unwrap());
    let norm = RmsNorm { weight: Tensor::randn([3], &mut Rng::new(2)), ..RmsNorm::new(3) };
    assert_eq!(norm.forward(&x).to_vec::<f32>().unwrap(), rms_norm(&x, 1, Some(&norm.weight), 1e-5).to_vec::<f32>().unwrap());
    assert_eq!(names(&GroupNorm::new(2, 4)), ["weight", "bias"]);
}
