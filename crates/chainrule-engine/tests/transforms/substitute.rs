//! What a graph recorded again promises: the value and derivatives of the function at the other inputs, the same draws, and
//! nothing recorded twice that did not change.

use chainrule_engine::transform::{substitute, vmap};
use chainrule_engine::{DType, ErrorKind, Rng, Tensor};

fn f(x: &Tensor, w: &Tensor) -> Tensor {
    (x.matmul(w).tanh() + x.sum()).square().mean()
}

#[test]
fn the_function_at_other_inputs_with_its_derivatives() {
    let mut rng = Rng::new(1);
    let [x, w, other] = [[3, 4], [4, 2], [4, 2]].map(|shape| Tensor::randn_of(shape, DType::F64, &mut rng));
    let again = substitute(&[&f(&x, &w)], &[&w], &[&other]).unwrap().remove(0);
    let plain = f(&x, &other);
    assert_eq!(again.item().unwrap(), plain.item().unwrap());
    let both = |y: &Tensor| y.grad(&[&x, &other]).unwrap().into_iter().flat_map(|g| g.to_vec::<f64>().unwrap()).collect::<Vec<_>>();
    assert_eq!(both(&again), both(&plain));
    // It no longer depends on what was replaced.
    assert_eq!(again.grad(&[&w]).unwrap_err().kind(), ErrorKind::Disconnected);
    // A batch of replacements.
    let all = Tensor::stack(&[&w, &other], 0);
    let batch = vmap(|w2| substitute(&[&f(&x, &w)], &[&w], &[&w2[0]]), &[&all], &[Some(0)]).unwrap().remove(0);
    let wanted = [f(&x, &w).item().unwrap(), plain.item().unwrap()];
    assert!(batch.to_vec::<f64>().unwrap().iter().zip(wanted).all(|(got, want)| (got - want).abs() < 1e-12));
}

#[test]
fn what_does_not_change_is_shared() {
    let x = Tensor::from([1.0, 2.0]);
    let (steady, draw) = (x.exp(), Tensor::rand([2], &mut Rng::new(3)));
    let w = Tensor::from([3.0, 4.0]);
    let y = &steady * &w + &draw;
    let found = substitute(&[&y, &steady], &[&w], &[&(&w * 2.0)]).unwrap();
    assert_eq!(found[1].id(), steady.id());
    assert!(found[0].id() != y.id());
    assert_eq!(found[0].to_vec::<f32>().unwrap(), (&steady * (&w * 2.0) + &draw).to_vec::<f32>().unwrap());
    // An intermediate value may be replaced, and an output itself.
    let replaced = substitute(&[&y, &steady], &[&steady], &[&w]).unwrap();
    assert_eq!(replaced[1].id(), w.id());
    assert_eq!(replaced[0].to_vec::<f32>().unwrap(), (&w * &w + draw).to_vec::<f32>().unwrap());
}

#[test]
fn what_does_not_fit_is_an_error() {
    let (w, wide) = (Tensor::from([3.0, 4.0]), Tensor::ones([3]));
    let y = w.square().sum();
    for new in [&wide, &w.cast(DType::F64)] {
        let error = substitute(&[&y], &[&w], &[new]).unwrap_err();
        assert!(error.kind() == ErrorKind::Argument && error.to_string().contains("cannot stand for"), "{error}");
    }
    assert!(substitute(&[&y], &[&w], &[]).unwrap_err().to_string().contains("0 tensors for 1"));
    assert_eq!(substitute(&[&y], &[&w], &[&(&w + &wide)]).unwrap_err().kind(), ErrorKind::Shape);
}
