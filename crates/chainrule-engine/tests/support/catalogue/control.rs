//! Loops and branches in the graph.

use super::{Row, any, positive};
use chainrule_engine::functions::*;
use chainrule_engine::{Result, Tensor};

/// All results in one vector, or the mistake, which there is none.
fn joined(results: Result<Vec<Tensor>>) -> Tensor {
    let flat: Vec<Tensor> = results.unwrap_or_else(|error| panic!("{error}")).iter().map(|result| result.flatten()).collect();
    Tensor::concat(&flat.iter().collect::<Vec<_>>(), 0)
}

fn number(value: i64) -> Tensor {
    Tensor::from_slice(&[value], [])
}

#[rustfmt::skip]
pub const FUNCTIONS: &[Row] = &[
    Row("scan", &[any(&[2]), any(&[3, 2]), any(&[2, 2])], |t| {
        let step = |c: &[Tensor], x: &[Tensor]| {
            let next = (c[0].matmul(&t[2]) + &x[0]).tanh();
            Ok((vec![next.clone()], vec![next.square()]))
        };
        joined(scan(&[&t[0]], &[&t[1]], ScanOptions::default(), step).map(|(carries, results)| [carries, results].concat()))
    }),
    Row("map", &[any(&[3, 2]), any(&[2])], |t| joined(map(&[&t[0]], |x| Ok(vec![x[0].sin() * &t[1]])))),
    Row("fori_loop", &[any(&[2]), any(&[2])], |t| joined(fori_loop(0, 3, &[&t[0]], |_, c| Ok(vec![c[0].sin() * &t[1]])))),
    Row("cond", &[any(&[2]), any(&[2])], |t| {
        let yes = t[0].max().less(&(t[0].max() + 1.0));
        joined(cond(&yes, &[&t[0], &t[1]], |x| Ok(vec![x[0].sin() * &x[1]]), |x| Ok(vec![&x[0] + &x[1]])))
    }),
    Row("switch", &[any(&[2]), any(&[2])], |t| {
        let branches: Vec<Branch> = vec![Box::new(|x: &[Tensor]| Ok(vec![&x[0] + &x[1]])), Box::new(|x: &[Tensor]| Ok(vec![x[0].sin() * &x[1]]))];
        joined(switch(&number(1), &[&t[0], &t[1]], branches))
    }),
    // Without a bound it has a derivative in forward mode only.
    Row("while_loop", &[positive(&[2]), positive(&[2])], |t| {
        let body = |c: &[Tensor]| Ok(vec![c[0].sin() * &t[1], &c[1] + number(1)]);
        joined(while_loop(|c| Ok(c[1].less(&number(3))), body, &[&t[0], &number(0)], Some(5)).map(|mut all| vec![all.remove(0)]))
    }),
];
