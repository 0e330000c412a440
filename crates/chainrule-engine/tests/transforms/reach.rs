//! How a tensor stands to a loss: told apart, with the reason, and as the gradient itself has it.

use crate::support::random;
use chainrule_engine::transform::{Reach, audit};
use chainrule_engine::{ErrorKind, Tensor};

#[test]
fn every_way_to_stand_to_a_loss_is_told_apart() {
    let all: Vec<Tensor> = (1..=4).map(|seed| random(&[3], seed)).collect();
    let [open, stepped, cut, _] = &all[..] else { panic!("four tensors") };
    let rounded = stepped.floor();
    let (closed, line) = (cut.detach(), line!());
    let loss = (open * rounded * closed).sum();
    let wrt: Vec<&Tensor> = all.iter().collect();
    let Ok(found) = audit(&loss, &wrt) else { panic!("no answer") };
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), wrt.len());
    assert_eq!(texts[0], "receives a gradient");
    assert_eq!(
        texts[1],
        format!("receives zeros: every path leads through `floor` at {}:{} (its derivative is zero by declaration)", file!(), line - 1)
    );
    assert_eq!(texts[2], format!("receives none: the path is cut by `detach` at {}:{line} (`detach` cuts the history here)", file!()));
    assert_eq!(texts[3], "receives none: the loss does not depend on it");
    assert!(matches!(found[..], [Reach::Gradient, Reach::Zero(Some(_)), Reach::Cut(_), Reach::Independent]));

    // A gradient is there exactly where one is said to be.
    let Ok(gradients) = loss.grad_or_none(&wrt) else { panic!("no gradients") };
    for (reach, gradient) in found.iter().zip(&gradients) {
        assert_eq!(reach.is_gradient(), gradient.is_some(), "{reach}");
    }
    assert_eq!(audit(&loss.floor(), &[open]).map(|found| found[0].is_gradient()).ok(), Some(false));
    assert_eq!(audit(open, &[open]).err().map(|error| error.kind()), Some(ErrorKind::Shape));
}
