//! Attention against loops, and embeddings.

use crate::check::{check_gradients, close, random, slope, values};
use chainrule_engine::Tensor;
use chainrule_engine::functions::{AttentionOptions, attention, attention_weights, embedding};

/// Queries [t, d], keys [s, d], values [s, e]; `bias` is added to the scores.
fn by_loops(q: &[f64], k: &[f64], v: &[f64], d: usize, e: usize, scale: f64, bias: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let (t, s) = (q.len() / d, k.len() / d);
    let mut out = vec![0.0; t * e];
    for i in 0..t {
        let score = |j: usize| (0..d).map(|x| q[i * d + x] * k[j * d + x]).sum::<f64>() * scale + bias(i, j);
        let weights: Vec<f64> = (0..s).map(|j| score(j).exp()).collect();
        let total: f64 = weights.iter().sum();
        for x in 0..e {
            out[i * e + x] = if total == 0.0 { 0.0 } else { (0..s).map(|j| weights[j] / total * v[j * e + x]).sum() };
        }
    }
    out
}

#[test]
fn attention_has_the_values_of_the_definition() {
    let (q, k, v) = (random(&[2, 3, 2], 1), random(&[2, 4, 2], 2), random(&[2, 4, 3], 3));
    let allowed = [true, false, true, true, true, true, false, false, false, false, false, true];
    let added = values(&random(&[3, 4], 5));
    let hide = |hidden: bool| if hidden { f64::NEG_INFINITY } else { 0.0 };
    type Bias<'a> = Box<dyn Fn(usize, usize) -> f64 + 'a>;
    let boolean = Tensor::from_slice(&allowed, [3, 4]);
    let float = Tensor::from_slice(&added, [3, 4]);
    let cases: Vec<(AttentionOptions, f64, Bias)> = vec![
        (AttentionOptions::default(), 0.5f64.sqrt(), Box::new(|_, _| 0.0)),
        (AttentionOptions { scale: Some(0.3), ..Default::default() }, 0.3, Box::new(|_, _| 0.0)),
        // Four keys for three queries: the last query is at the last key.
        (AttentionOptions { causal: true, ..Default::default() }, 0.5f64.sqrt(), Box::new(|i, j| hide(j > i + 1))),
        (AttentionOptions { mask: Some(boolean.clone()), ..Default::default() }, 0.5f64.sqrt(), Box::new(|i, j| hide(!allowed[i * 4 + j]))),
        (AttentionOptions { mask: Some(float), ..Default::default() }, 0.5f64.sqrt(), Box::new(|i, j| added[i * 4 + j])),
        (
            AttentionOptions { mask: Some(boolean), causal: true, ..Default::default() },
            0.5f64.sqrt(),
            Box::new(|i, j| hide(!allowed[i * 4 + j] || j > i + 1)),
        ),
    ];
    for (options, scale, bias) in cases {
        let expected: Vec<f64> = (0..2)
            .flat_map(|n| by_loops(&values(&q)[n * 6..][..6], &values(&k)[n * 8..][..8], &values(&v)[n * 12..][..12], 2, 3, scale, &bias))
            .collect();
        close("attention", &values(&attention(&q, &k, &v, &options)), &expected, 1e-14);
        close("weights", &values(&attention_weights(&q, &k, &options).matmul(&v)), &expected, 1e-14);
    }
}

/// attention: second order and forward over reverse work.
#[test]
fn attention_has_its_derivatives() {
    let inputs = [random(&[1, 3, 2], 1), random(&[1, 3, 2], 2), random(&[1, 3, 2], 3)];
    for causal in [false, true] {
        let options = AttentionOptions { causal, ..Default::default() };
        check_gradients("attention", |t| attention(&t[0], &t[1], &t[2], &options), &inputs);
    }
    let mask = Tensor::from_slice(&[true, false, true, false, false, false, true, true, true], [3, 3]);
    let options = AttentionOptions { mask: Some(mask), ..Default::default() };
    check_gradients("masked attention", |t| attention(&t[0], &t[1], &t[2], &options), &inputs);
    let biased = |t: &[Tensor]| attention(&t[0], &t[1], &t[2], &AttentionOptions { mask: Some(t[3].clone()), ..Default::default() });
    check_gradients("biased attention", biased, &[&inputs[..], &[random(&[3, 3], 4)]].concat());
}

#[test]
fn a_query_that_sees_no_key_gives_zeros_and_no_gradient() {
    let (q, k, v) = (random(&[2, 2], 1), random(&[3, 2], 2), random(&[3, 2], 3));
    let mask = Tensor::from_slice(&[false, false, false, true, false, true], [2, 3]);
    let y = attention(&q, &k, &v, &AttentionOptions { mask: Some(mask), ..Default::default() });
    assert_eq!(values(&y)[..2], [0.0, 0.0]);
    let gradient = slope(&y.square(), &q);
    assert_eq!(gradient[..2], [0.0, 0.0]);
    assert!(gradient.iter().all(|v| v.is_finite()) && gradient[2] != 0.0);
}

#[test]
fn leading_axes_broadcast() {
    let (q, k, v) = (random(&[2, 3, 2, 2], 1), random(&[1, 3, 2, 2], 2), random(&[3, 2, 2], 3));
    let y = attention(&q, &k, &v, &AttentionOptions { causal: true, ..Default::default() });
    assert_eq!(y.shape(), [2, 3, 2, 2]);
    let repeated = |t: &Tensor| t.broadcast_to([2, 3, 2, 2]);
    let expected = attention(&q, &repeated(&k), &repeated(&v), &AttentionOptions { causal: true, ..Default::default() });
    close("broadcast", &values(&y), &values(&expected), 1e-15);
}

/// gather: repeated indices accumulate, rows that are not picked get 0.
#[test]
fn embedding_with_repeated_indices() {
    let table = random(&[4, 2], 1);
    let index = Tensor::from_slice(&[2i32, 0, 2, 2, 0, 3], [2, 3]);
    let rows = embedding(&table, &index);
    assert_eq!(rows.shape(), [2, 3, 2]);
    let data = values(&table);
    let expected: Vec<f64> = [2, 0, 2, 2, 0, 3].iter().flat_map(|&i: &usize| [data[2 * i], data[2 * i + 1]]).collect();
    assert_eq!(values(&rows), expected);
    assert_eq!(slope(&rows, &table), [2.0, 2.0, 0.0, 0.0, 3.0, 3.0, 1.0, 1.0]);
    check_gradients("embedding", |t| embedding(&t[0], &index).square(), &[table]);
}

/// Outputs and gradients by all inputs, by [`attention`] or with the weights as one matrix.
fn outcome(inputs: &[Tensor], options: &AttentionOptions, blocks: bool) -> Vec<Vec<f64>> {
    let [q, k, v] = inputs else { return Vec::new() };
    let y = if blocks { attention(q, k, v, options) } else { attention_weights(q, k, options).matmul(v) };
    let weighted = (&y * random(y.shape(), 9).cast(y.dtype())).sum();
    let mut all = weighted.grad(&[q, k, v]).unwrap();
    all.push(y);
    all.iter().map(values).collect()
}

#[test]
fn blocks_of_queries_give_what_all_at_once_give() {
    let few_keys = Tensor::from_slice(&(0..1000).map(|i| i % 7 != 3).collect::<Vec<_>>(), [1, 1000]);
    let per_query = random(&[1100, 1], 4);
    let plain = |mask: Option<&Tensor>| AttentionOptions { causal: true, mask: mask.cloned(), ..Default::default() };
    let cases = [
        (1000, 1100, plain(None)),
        // The first hundred queries see no key at all.
        (1100, 1000, plain(None)),
        (1100, 1000, plain(Some(&few_keys))),
        (1100, 1000, plain(Some(&per_query))),
    ];
    for (queries, keys, options) in cases {
        let inputs = [random(&[1, queries, 2], 1), random(&[1, keys, 2], 2), random(&[1, keys, 3], 3)];
        let [blocks, whole] = [true, false].map(|blocks| outcome(&inputs, &options, blocks));
        for (got, want) in blocks.iter().zip(&whole) {
            close("in blocks", got, want, 1e-12);
        }
    }
    let hidden = [random(&[1, 1100, 2], 1), random(&[1, 1000, 2], 2), random(&[1, 1000, 3], 3)];
    assert!(values(&attention(&hidden[0], &hidden[1], &hidden[2], &plain(None)))[..300].iter().all(|&x| x == 0.0));
}

/// Beyond some number of scores these are not kept but computed again.
#[test]
fn scores_that_are_computed_again_give_the_same_gradients() {
    for causal in [true, false] {
        let options = AttentionOptions { causal, ..Default::default() };
        let inputs = [1, 2, 3].map(|seed| random(&[1, 4100, 2], seed).cast(chainrule_engine::DType::F32).to_leaf().unwrap());
        let [blocks, whole] = [true, false].map(|blocks| outcome(&inputs, &options, blocks));
        for (got, want) in blocks.iter().zip(&whole) {
            close("computed again", got, want, 2e-5);
        }
    }
}

/// Bytes of a training step's intermediate values for a sequence of so many.
fn planned(length: usize, causal: bool) -> usize {
    let inputs = [1, 2, 3].map(|_| Tensor::placeholder([2, length, 16].as_slice(), chainrule_engine::DType::F32));
    let [q, k, v] = &inputs;
    let loss = attention(q, k, v, &AttentionOptions { causal, ..Default::default() }).square().sum();
    let gradients = loss.grad(&[q, k, v]).unwrap();
    let step = chainrule_engine::Step::capture(&[q, k, v], &gradients.iter().collect::<Vec<_>>(), &[]).unwrap();
    step.arena_bytes()
}

#[test]
fn memory_of_attention_grows_with_the_length_not_with_its_square() {
    for causal in [true, false] {
        let [short, middle, long] = [4096, 8192, 16_384].map(|length| planned(length, causal));
        // Twice the length, twice the growth, whatever does not grow; that of the square would be four times as much.
        let (first, second) = (middle - short, long - middle);
        assert!(second <= 2 * first + first / 4, "causal {causal}: {short} bytes for 4,096, {middle} for 8,192, {long} for 16,384");
        // All scores of two sequences would be 128 MiB each time they are written.
        assert!(short < 32 << 20, "causal {causal}: {short} bytes");
    }
}
