//! Any operation takes any layout: inputs that are views of other tensors give what dense ones give.

use crate::support::{agree, epsilon, eval, oracle};
use crate::{Kind, applied, for_each_sample, loss, text};
use chainrule_engine::ops::movement::inverse_order;
use chainrule_engine::ops::{Broadcast, Op, Pad, Permute, Reverse, Slice};
use chainrule_engine::{DType, Tensor};

const VIEWS: [&str; 5] =
    ["permuted", "every second element of a larger tensor", "reversed", "a column of a wider tensor, permuted and reversed", "repeated"];

/// A leaf with the values of a tensor.
fn dense(t: &Tensor) -> Tensor {
    match chainrule_engine::backend::reference::evaluate(&[t]) {
        Ok(mut data) => Tensor::from_data(data.remove(0), t.shape()),
        Err(error) => panic!("{error}"),
    }
}

/// The values of `t` as a view of some other leaf. Repeating changes the values; the shape stays.
fn view(t: &Tensor, kind: &str) -> Tensor {
    let rank = t.rank();
    let all: Vec<usize> = (0..rank).collect();
    let turned: Vec<usize> = (0..rank).map(|axis| (axis + 1) % rank.max(1)).collect();
    let filled = |n: usize| all.iter().map(|_| n).collect();
    match kind {
        "permuted" => dense(&t.permute(&turned)).permute(inverse_order(&turned)),
        "every second element of a larger tensor" => {
            let wide = dense(&Tensor::record(Pad { low: filled(1), high: filled(2), interior: filled(1) }, [t.clone()]));
            let stop = t.shape().iter().map(|&n| if n == 0 { 1 } else { 2 * n }).collect();
            Tensor::record(Slice { start: filled(1), stop, step: filled(2) }, [wide])
        }
        "reversed" => {
            let back = Reverse(all.as_slice().into());
            Tensor::record(back.clone(), [dense(&Tensor::record(back, [t.clone()]))])
        }
        "a column of a wider tensor, permuted and reversed" => {
            let back = Reverse(all.first().copied().into_iter().collect());
            let moved = Tensor::record(back.clone(), [t.permute(&turned)]);
            let wide = dense(&Tensor::stack(&[&moved, &moved.zeros_like(), &moved.zeros_like()], rank as isize));
            let mut start = vec![0; rank];
            start.push(0);
            let mut stop = moved.shape().to_vec();
            stop.push(1);
            let column = Tensor::record(
                Slice { start: start.as_slice().into(), stop: stop.as_slice().into(), step: vec![1; rank + 1].as_slice().into() },
                [wide],
            );
            Tensor::record(back, [column.squeeze(-1)]).permute(inverse_order(&turned))
        }
        _ if rank == 0 || t.shape()[0] == 0 => dense(t),
        _ => {
            let mut stop = t.shape().to_vec();
            stop[0] = 1;
            let first = Tensor::record(Slice { start: filled(0), stop: stop.as_slice().into(), step: filled(1) }, [t.clone()]);
            let one = dense(&first.reshape(&t.shape()[1..]));
            Tensor::record(Broadcast { axes: [0].as_slice().into(), sizes: [t.shape()[0]].as_slice().into() }, [one])
        }
    }
}

#[test]
fn views_keep_their_values() {
    let t = crate::support::random(&[2, 3, 4], 1);
    for kind in &VIEWS[..4] {
        assert_eq!(oracle(&view(&t, kind)), oracle(&t), "{kind}");
        assert_eq!(eval(&view(&t, kind)), oracle(&t), "{kind}");
    }
    assert_eq!(eval(&view(&t, VIEWS[4])), oracle(&view(&t, VIEWS[4])));
    assert_eq!(oracle(&view(&t, VIEWS[4]))[..12], oracle(&t)[..12]);
}

#[test]
fn every_operation_takes_every_layout() {
    for_each_sample(|sample| {
        for dtype in
            sample.dtypes().into_iter().filter(|dtype| matches!(dtype, DType::F32 | DType::F64 | DType::I32 | DType::U8 | DType::Bool))
        {
            let inputs = sample.tensors(dtype, 90);
            for kind in VIEWS {
                // All inputs at once, then each alone.
                for alone in std::iter::once(None).chain((0..inputs.len()).map(Some)).take(if inputs.len() > 1 { 4 } else { 1 }) {
                    let views: Vec<Tensor> = inputs
                        .iter()
                        .enumerate()
                        .map(|(k, x)| if alone.is_none_or(|only| only == k) { view(x, kind) } else { x.clone() })
                        .collect();
                    let want = oracle(&sample.record(&views.iter().map(dense).collect::<Vec<_>>()));
                    let relative = if matches!(sample.op, Op::Binary(_)) { 16.0 } else { 4.0 } * epsilon(dtype);
                    agree(&format!("{dtype}, {kind}, input {alone:?}"), &eval(&sample.record(&views)), &want, relative)?;
                }
            }
        }
        Ok(())
    });
}

#[test]
fn gradients_flow_through_every_layout() {
    for_each_sample(|sample| {
        let Some((inputs, y, kinds)) = applied(sample, 91) else { return Ok(()) };
        let Some(k) = kinds.iter().position(|kind| *kind == Kind::Linear) else { return Ok(()) };
        if y.is_empty() || inputs[k].rank() == 0 {
            return Ok(());
        }
        let turned: Vec<usize> = (0..inputs[k].rank()).map(|axis| (axis + 1) % inputs[k].rank()).collect();
        let base = dense(&inputs[k].permute(&turned));
        let mut viewed = inputs.clone();
        viewed[k] = Tensor::record(Permute(inverse_order(&turned)), [base.clone()]);
        let got = loss(&sample.record(&viewed), 2).grad(&[&base]).map_err(text)?.remove(0);
        let want = loss(&y, 2).grad(&[&inputs[k]]).map_err(text)?.remove(0).permute(&turned);
        agree("gradient by the base of a view", &eval(&got), &oracle(&want), 1e-13)
    });
}
