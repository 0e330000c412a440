//! Normalisations, attention, places and recurrent cells: `data/torch/sequence.py` has the same loops.

use crate::check::{check_gradients, close, numbers, random, slope, values, vector};
use crate::stored::Stored;
use chainrule_engine::functions::*;
use chainrule_engine::{DType, Rng, Tensor};

const FIGURES: &str = include_str!("../data/torch/sequence.txt");
const BOTH: [bool; 2] = [false, true];

fn leaf(x: Tensor) -> Tensor {
    x.to_leaf().unwrap()
}

/// The tensors that are there.
fn given<'a>(always: &[&'a Tensor], optional: &[Option<&'a Tensor>]) -> Vec<&'a Tensor> {
    always.iter().copied().chain(optional.iter().copied().flatten()).collect()
}

#[test]
fn batch_norm_keeps_running_statistics() {
    let mut stored = Stored::new(FIGURES, "batch_norm");
    let (x, gamma, beta) = (random(&[3, 4, 2, 3], 1), random(&[4], 2), random(&[4], 3));
    let running = RunningStatistics { mean: random(&[4], 4), variance: leaf(random(&[4], 5).sigmoid()) };
    for affine in BOTH {
        for momentum in [0.1, 0.25] {
            let (g, b) = (affine.then_some(&gamma), affine.then_some(&beta));
            let name = |what: &str| format!("batch_norm {} {momentum:?} {what}", affine as u8);
            let inputs = given(&[&x], &[g, b]);
            stored.check(&name("eval"), &batch_norm_with(&x, 1, &running.mean, &running.variance, g, b, 1e-3), &inputs);
            let batch = batch_norm(&x, 1, g, b, 1e-3);
            stored.check(&name("train"), &batch.output, &inputs);
            let next = running.after(&batch, momentum);
            stored.check(&name("mean"), &next.mean, &[]);
            stored.check(&name("variance"), &next.variance, &[]);
            // Statistics are not trained.
            assert!(next.mean.sum().grad(&[&x]).is_err());
        }
    }
    stored.finish();
    let fresh = RunningStatistics::new(4, DType::F64);
    assert_eq!((values(&fresh.mean), values(&fresh.variance)), (vec![0.0; 4], vec![1.0; 4]));
}

#[test]
fn norms() {
    let [mut stored, mut local] = ["norm", "local_response"].map(|name| Stored::new(FIGURES, name));
    let x = random(&[3, 4, 2, 3], 1);
    for affine in BOTH {
        let a = affine as u8;
        let (gamma, beta) = (random(&[4], 2), random(&[4], 3));
        let (g, b) = (affine.then_some(&gamma), affine.then_some(&beta));
        stored.check(&format!("norm instance {a}"), &instance_norm(&x, 1, g, b, 1e-3), &given(&[&x], &[g, b]));
        for groups in [1, 2, 4] {
            stored.check(&format!("norm group {groups} {a}"), &group_norm(&x, 1, groups, g, b, 1e-3), &given(&[&x], &[g, b]));
        }
        for axes in 1..=3 {
            let (gamma, beta) = (random(&x.shape()[4 - axes..], 2), random(&x.shape()[4 - axes..], 3));
            let (g, b) = (affine.then_some(&gamma), affine.then_some(&beta));
            stored.check(&format!("norm layer {axes} {a}"), &layer_norm(&x, axes, g, b, 1e-3), &given(&[&x], &[g, b]));
            stored.check(&format!("norm rms {axes} {a}"), &rms_norm(&x, axes, g, 1e-3), &given(&[&x], &[g]));
        }
    }
    for size in [1, 2, 3, 5] {
        for beta in [0.75, 2.0] {
            let x = random(&[2, 6, 3], 6);
            local.check(&format!("local_response {size} {beta:?}"), &local_response_norm(&x, 1, size, 0.7, beta, 1.5), &[&x]);
            let last = local_response_norm(&x.transpose(1, 2), -1, size, 0.7, beta, 1.5).transpose(1, 2);
            local.check(&format!("local_response {size} {beta:?}"), &last, &[&x]);
        }
    }
    stored.finish();
    local.finish();
    check_gradients("local_response_norm", |t| local_response_norm(&t[0], 1, 3, 0.7, 0.75, 1.5), &[random(&[1, 4, 2], 1)]);
    check_gradients("instance_norm", |t| instance_norm(&t[0], 1, Some(&t[1]), None, 1e-3), &[random(&[1, 2, 4], 1), random(&[2], 2)]);
    let narrow = local_response_norm(&Tensor::full([1, 2, 1], 300.0, DType::F16), 1, 1, 1.0, 0.5, 0.0);
    assert_eq!((values(&narrow), narrow.dtype()), (vec![1.0; 2], DType::F16));
}

/// Every number of heads for keys, mask, alignment and cap.
#[test]
fn attention_of_groups_of_heads() {
    let mut stored = Stored::new(FIGURES, "attention");
    for (queries, keys) in [(4, 6), (6, 4), (5, 5)] {
        for heads in [4, 2, 1] {
            for masked in ["none", "bool", "float", "heads"] {
                for causal in BOTH {
                    for cap in [0.0, 1.5] {
                        let (q, k, v) = (random(&[2, 4, queries, 3], 1), random(&[2, heads, keys, 3], 2), random(&[2, heads, keys, 2], 3));
                        let seen: Vec<bool> =
                            numbers(queries * keys, 9).iter().enumerate().map(|(i, &x)| x > -1.2 || i % keys == 0).collect();
                        let mask = match masked {
                            "bool" => Some(Tensor::from_vec(seen, [queries, keys])),
                            "float" => Some(random(&[queries, keys], 4)),
                            "heads" => Some(random(&[4, 1, keys], 5)),
                            _ => None,
                        };
                        let soft_cap = (cap > 0.0).then_some(cap);
                        let options = AttentionOptions { causal, from_start: true, grouped: true, mask, soft_cap, ..Default::default() };
                        let name = format!("attention {queries} {keys} {heads} {masked} {} {cap:?}", causal as u8);
                        stored.check(&name, &attention(&q, &k, &v, &options), &[&q, &k, &v]);
                        let weights = attention_weights(&q, &k, &options);
                        assert_eq!(weights.shape(), [2, 4, queries, keys]);
                        let own = v.repeat(4 / heads, 1);
                        close(&name, &values(&weights.matmul(&own)), &values(&attention(&q, &k, &v, &options)), 1e-13);
                    }
                }
            }
        }
    }
    stored.finish();
    let options = AttentionOptions { causal: true, grouped: true, soft_cap: Some(0.7), ..Default::default() };
    let inputs = [random(&[2, 2, 2], 1), random(&[1, 3, 2], 2), random(&[1, 3, 2], 3)];
    check_gradients("grouped", |t| attention(&t[0], &t[1], &t[2], &options), &inputs);
}

/// Long enough to be cut in blocks: from the start as from the end, with fewer and with more keys.
#[test]
fn blocks_from_the_start() {
    for (queries, keys) in [(1000, 1300), (1300, 1000)] {
        for from_start in BOTH {
            let inputs = [random(&[1, queries, 2], 1), random(&[1, keys, 2], 2), random(&[1, keys, 2], 3)];
            let options = AttentionOptions { causal: true, from_start, ..Default::default() };
            let results = |y: Tensor| -> Vec<Vec<f64>> {
                let weighted = (&y * random(y.shape(), 9)).sum();
                let mut all = weighted.grad(&inputs.each_ref()).unwrap();
                all.push(y);
                all.iter().map(values).collect()
            };
            let [q, k, v] = &inputs;
            let (blocks, whole) = (results(attention(q, k, v, &options)), results(attention_weights(q, k, &options).matmul(v)));
            for (got, want) in blocks.iter().zip(&whole) {
                close("in blocks", got, want, 1e-12);
            }
        }
    }
}

#[test]
fn dropout_leaves_out_weights_and_scales_the_rest() {
    let (q, k) = (random(&[40, 3], 1), random(&[50, 3], 2));
    let v = leaf(Tensor::eye(50, DType::F64));
    let key = |seed| Rng::new(seed).key();
    let with = |p, seed| AttentionOptions { dropout: Some((p, key(seed))), ..Default::default() };
    let plain = values(&attention(&q, &k, &v, &Default::default()));
    let some = values(&attention(&q, &k, &v, &with(0.25, 1)));
    let dropped = some.iter().filter(|&&w| w == 0.0).count() as f64 / 2000.0;
    assert!((dropped - 0.25).abs() < 0.05, "{dropped}");
    for (some, plain) in some.iter().zip(&plain) {
        assert!(*some == 0.0 || (some - plain / 0.75).abs() < 1e-14);
    }
    assert!(some == values(&attention(&q, &k, &v, &with(0.25, 1))), "the same key draws the same");
    assert!(some != values(&attention(&q, &k, &v, &with(0.25, 2))), "another key draws others");
    close("weights", &some, &values(&attention_weights(&q, &k, &with(0.25, 1))), 1e-15);
    assert!(plain == values(&attention(&q, &k, &v, &with(0.0, 1))), "nothing is left out");
    check_gradients(
        "dropout",
        |t| attention(&t[0], &t[1], &t[2], &with(0.25, 1)),
        &[random(&[2, 2], 1), random(&[3, 2], 2), random(&[3, 2], 3)],
    );
    // In blocks, of which each draws for itself.
    let (q, k) = (random(&[1100, 2], 1), random(&[1000, 2], 2));
    let options = AttentionOptions { causal: true, from_start: true, ..with(0.5, 3) };
    let ones = Tensor::full([1000, 1], 1.0, DType::F64);
    let sums = values(&attention(&q, &k, &ones, &options));
    let mean = sums.iter().sum::<f64>() / 1100.0;
    assert!((mean - 1.0).abs() < 0.05 && sums[100..200] != sums[300..400], "{mean}");
}

/// Scores that are computed again for the gradient are left out where they were: what is linear in the values is the sum
/// of each value times its slope.
#[test]
fn dropout_is_not_drawn_again_for_the_gradient() {
    let n = 4200;
    let (q, k, v) = (random(&[n, 1], 1), random(&[n, 1], 2), random(&[n, 1], 3));
    let options = AttentionOptions { dropout: Some((0.5, Rng::new(4).key())), ..Default::default() };
    let total = (attention(&q, &k, &v, &options) * random(&[n, 1], 5)).sum();
    let slopes = total.grad(&[&v]).unwrap().remove(0);
    close("linear", &values(&(slopes * &v).sum()), &values(&total), 1e-10);
}

#[test]
fn rotary_embeddings() {
    let mut stored = Stored::new(FIGURES, "rotary");
    let x = random(&[2, 3, 5, 6], 1);
    for interleaved in BOTH {
        for width in [6, 4] {
            for start in [0, 3] {
                let positions = (start > 0).then(|| Tensor::from_vec((0..5).map(|i| i + start).collect::<Vec<i64>>(), 5));
                let options = RotaryOptions { base: 100.0, interleaved, width: Some(width), positions };
                stored.check(&format!("rotary {} {width} {start}", interleaved as u8), &rotary_embedding(&x, &options), &[&x]);
            }
        }
    }
    stored.finish();
    check_gradients("rotary", |t| rotary_embedding(&t[0], &Default::default()).square(), &[random(&[2, 3, 4], 1)]);
    // The product of two vectors depends on how far apart they are, in single precision and far out too.
    for interleaved in BOTH {
        let at = |place: i64, seed| {
            let positions = Some(Tensor::from_slice(&[place], [1]));
            rotary_embedding(&random(&[1, 8], seed).cast(DType::F32), &RotaryOptions { interleaved, positions, ..Default::default() })
        };
        let product = |a, b| values(&(at(a, 1) * at(b, 2)).sum())[0];
        close("distance", &[product(1_000_003, 1_000_000), product(7, 4)], &[product(3, 0); 2], 1e-5);
    }
}

#[test]
fn alibi() {
    close("8 heads", &alibi_slopes(8), &[0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625], 0.0);
    let root = |i: i32| 2f64.powf(-0.5 * i as f64);
    // Twelve heads, by the authors' program: those of eight, and of sixteen the first, third, fifth and seventh.
    let more: Vec<f64> = alibi_slopes(8).into_iter().chain([root(1), root(3), root(5), root(7)]).collect();
    close("12 heads", &alibi_slopes(12), &more, 1e-15);
    let bias = alibi_bias(2, 2, 3, DType::F32);
    assert_eq!((bias.shape(), bias.dtype()), (&[2, 2, 3][..], DType::F32));
    let s = 0.0625;
    assert_eq!(values(&bias)[..6], [-s, 0.0, -s, -2.0 * s, -s, 0.0]);
}

struct Net {
    cell: Cell,
    weights: Vec<CellWeights>,
    all: Vec<Tensor>,
}

/// Weights in the order of PyTorch's parameters.
fn net(cell: Cell, biased: bool, ways: usize, projected: bool) -> Net {
    let gates = cell.gates();
    let out = if projected { 3 } else { 4 };
    let mut all: Vec<Tensor> = Vec::new();
    let mut weights = Vec::new();
    for _ in 0..ways {
        let mut next = |shape: &[usize]| {
            all.push(random(shape, 50 + all.len() as u64));
            all[all.len() - 1].clone()
        };
        let mut own = CellWeights::new(next(&[gates * 4, 2]), next(&[gates * 4, out]));
        own.input_bias = biased.then(|| next(&[gates * 4]));
        own.hidden_bias = biased.then(|| next(&[gates * 4]));
        own.projection = projected.then(|| next(&[3, 4]));
        weights.push(own);
    }
    Net { cell, weights, all }
}

/// Every cell, with and without each option.
#[test]
fn sequences() {
    let mut stored = Stored::new(FIGURES, "recurrent");
    for cell in [Cell::RnnTanh, Cell::RnnRelu, Cell::Gru, Cell::Lstm] {
        for (biased, ways) in [(false, 1), (false, 2), (true, 1), (true, 2)] {
            for projected in if cell == Cell::Lstm { &BOTH[..] } else { &BOTH[..1] } {
                for (begun, ragged) in [(false, false), (false, true), (true, false), (true, true)] {
                    let net = net(cell, biased, ways, *projected);
                    let settings = format!("{cell:?} {} {ways} {} {} {}", biased as u8, *projected as u8, begun as u8, ragged as u8);
                    check_sequence(&mut stored, &settings, &net, begun, ragged);
                }
            }
        }
    }
    stored.finish();
}

fn check_sequence(stored: &mut Stored, settings: &str, net: &Net, begun: bool, ragged: bool) {
    let (ways, lstm) = (net.weights.len(), net.cell == Cell::Lstm);
    let out = net.weights[0].hidden.shape()[1];
    let x = random(&[5, 3, 2], 1);
    let (h, c) = (random(&[ways, 3, out], 2), random(&[ways, 3, 4], 3));
    let states: Vec<CellState> =
        (0..ways as isize).map(|i| CellState { hidden: h.index(0, i), cell: lstm.then(|| c.index(0, i)) }).collect();
    let lengths = ragged.then(|| Tensor::from_slice(&[3i64, 5, 1], [3]));
    for batch_first in BOTH {
        let sequence = Sequence { batch_first, lengths: lengths.clone(), reverse: false };
        let given = if batch_first { x.transpose(0, 1) } else { x.clone() };
        let (y, last) = if ways == 1 {
            let (y, last) = recurrent(net.cell, &given, begun.then_some(&states[0]), &net.weights[0], &sequence);
            (y, vec![last])
        } else {
            let first = begun.then(|| [&states[0], &states[1]]);
            let (y, last) = bidirectional(net.cell, &given, first, [&net.weights[0], &net.weights[1]], &sequence);
            (y, last.to_vec())
        };
        let inputs: Vec<&Tensor> = std::iter::once(&x).chain(&net.all).collect();
        let y = if batch_first { y.transpose(0, 1) } else { y };
        stored.check(&format!("recurrent {settings} output"), &y, &inputs);
        let states: Vec<Tensor> = last
            .into_iter()
            .map(|state| state.cell.map_or(state.hidden.clone(), |cell| Tensor::concat(&[&state.hidden, &cell], -1)))
            .collect();
        stored.check(&format!("recurrent {settings} state"), &Tensor::stack(&states.iter().collect::<Vec<_>>(), 0), &inputs);
    }
}

/// One step is the first of a sequence, and what PyTorch has not is held to its formula, number by number.
#[test]
fn steps_of_cells() {
    let (x, h, c) = (random(&[3, 2], 1), random(&[3, 4], 2), random(&[3, 4], 3));
    let state = |cell| CellState { hidden: h.clone(), cell };
    let one = |cell: Cell, inner: Option<Tensor>, weights: &CellWeights| {
        recurrent(cell, &x.unsqueeze(0), Some(&state(inner)), weights, &Default::default()).1
    };
    type Step = fn(&Tensor, &Tensor, &CellWeights) -> Tensor;
    let steps: [(Cell, Step); 4] = [
        (Cell::RnnTanh, |x, h, w| rnn_tanh_cell(x, h, w)),
        (Cell::RnnRelu, |x, h, w| rnn_relu_cell(x, h, w)),
        (Cell::Gru, |x, h, w| gru_cell(x, h, w)),
        (Cell::GruResetFirst, |x, h, w| gru_cell_reset_first(x, h, w)),
    ];
    for (cell, step) in steps {
        let weights = &net(cell, true, 1, false).weights[0];
        close("step", &values(&step(&x, &h, weights)), &values(&one(cell, None, weights).hidden), 1e-15);
    }
    let weights = &net(Cell::Lstm, true, 1, true).weights[0];
    let h = random(&[3, 3], 2);
    let (next, inner) = lstm_cell(&x, &h, &c, weights);
    let first = CellState { hidden: h, cell: Some(c) };
    let expected = recurrent(Cell::Lstm, &x.unsqueeze(0), Some(&first), weights, &Default::default()).1;
    assert_eq!((values(&next), values(&inner)), (values(&expected.hidden), values(&expected.cell.unwrap())));
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `gates * 4` rows times a vector, plus a bias.
fn gates(w: &Tensor, x: &[f64], bias: &Tensor) -> Vec<f64> {
    values(w).chunks(x.len()).zip(values(bias)).map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b).collect()
}

#[test]
fn a_reset_before_the_product_and_peepholes_have_the_values_of_their_formulas() {
    let (x, h, c) = (numbers(2, 1), numbers(4, 2), numbers(4, 3));
    let [xt, ht, ct] = [(&x, 2), (&h, 4), (&c, 4)].map(|(v, n)| Tensor::from_slice(v, [1, n]));
    let weights = net(Cell::GruResetFirst, true, 1, false).weights.remove(0);
    let (bi, bh) = (weights.input_bias.clone().unwrap(), weights.hidden_bias.clone().unwrap());
    let (by_x, by_h) = (gates(&weights.input, &x, &bi), gates(&weights.hidden, &h, &bh));
    let reset: Vec<f64> = (0..4).map(|i| sigmoid(by_x[i] + by_h[i]) * h[i]).collect();
    let by_reset = gates(&weights.hidden, &reset, &bh);
    let expected: Vec<f64> = (0..4)
        .map(|i| {
            let (z, n) = (sigmoid(by_x[4 + i] + by_h[4 + i]), (by_x[8 + i] + by_reset[8 + i]).tanh());
            (1.0 - z) * n + z * h[i]
        })
        .collect();
    close("reset first", &values(&gru_cell_reset_first(&xt, &ht, &weights)), &expected, 1e-14);

    let mut weights = net(Cell::Lstm, true, 1, false).weights.remove(0);
    weights.peepholes = Some(random(&[3, 4], 9));
    let p = numbers(12, 9);
    let (bi, bh) = (weights.input_bias.clone().unwrap(), weights.hidden_bias.clone().unwrap());
    let all: Vec<f64> = gates(&weights.input, &x, &bi).iter().zip(gates(&weights.hidden, &h, &bh)).map(|(a, b)| a + b).collect();
    let inner: Vec<f64> =
        (0..4).map(|i| sigmoid(all[4 + i] + p[4 + i] * c[i]) * c[i] + sigmoid(all[i] + p[i] * c[i]) * all[8 + i].tanh()).collect();
    let output: Vec<f64> = (0..4).map(|i| sigmoid(all[12 + i] + p[8 + i] * inner[i]) * inner[i].tanh()).collect();
    let (next, cell) = lstm_cell(&xt, &ht, &ct, &weights);
    close("peepholes", &values(&next), &output, 1e-14);
    close("peepholes, inside", &values(&cell), &inner, 1e-14);
}

#[test]
fn recurrent_derivatives_to_second_order() {
    let x = random(&[2, 1, 2], 1);
    for cell in [Cell::RnnTanh, Cell::Gru, Cell::GruResetFirst, Cell::Lstm] {
        let Net { weights, .. } = net(cell, true, 1, false);
        let lengths = Some(Tensor::from_slice(&[1i64], [1]));
        let with = |t: &[Tensor]| CellWeights { input: t[1].clone(), hidden: t[2].clone(), ..weights[0].clone() };
        let whole = |t: &[Tensor]| recurrent(cell, &t[0], None, &with(t), &Sequence { reverse: true, ..Default::default() }).0;
        check_gradients(&format!("{cell:?}"), whole, &[x.clone(), leaf(&weights[0].input * 0.5), leaf(&weights[0].hidden * 0.5)]);
        let short =
            |t: &[Tensor]| recurrent(cell, &t[0], None, &weights[0], &Sequence { lengths: lengths.clone(), ..Default::default() }).0;
        assert_eq!(slope(&short(std::slice::from_ref(&x)), &x)[2..], [0.0, 0.0], "what lies beyond a length has no slope");
    }
}

#[test]
fn narrow_cells_are_computed_in_single() {
    let Net { weights, .. } = net(Cell::Lstm, true, 1, false);
    let narrow = |t: &Tensor| t.cast(DType::BF16);
    let own = &weights[0];
    let small = CellWeights {
        input_bias: own.input_bias.as_ref().map(narrow),
        hidden_bias: own.hidden_bias.as_ref().map(narrow),
        ..CellWeights::new(narrow(&own.input), narrow(&own.hidden))
    };
    let x = random(&[3, 2, 2], 1);
    let (y, last) = recurrent(Cell::Lstm, &narrow(&x), None, &small, &Default::default());
    assert_eq!((y.dtype(), last.cell.unwrap().dtype()), (DType::BF16, DType::BF16));
    close("narrow", &values(&y), &values(&recurrent(Cell::Lstm, &x, None, own, &Default::default()).0), 0.03);
    assert!(
        values(&rnn_relu_cell(
            &vector(&[f64::NAN]).reshape([1, 1]),
            &vector(&[0.0]).reshape([1, 1]),
            &CellWeights::new(vector(&[1.0]).reshape([1, 1]), vector(&[1.0]).reshape([1, 1]))
        ))[0]
            .is_nan()
    );
}
