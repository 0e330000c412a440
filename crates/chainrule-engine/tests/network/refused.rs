//! What does not fit is a mistake that names the function and the line.

use chainrule_engine::functions::loss::*;
use chainrule_engine::{DType, Tensor};

fn f(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape)
}

fn i(shape: &[usize]) -> Tensor {
    Tensor::full(shape, 0.0, DType::I64)
}

macro_rules! refused {
    ($test:ident: $($name:literal: $call:expr;)*) => {
        #[test]
        fn $test() {
            let mut lines = Vec::new();
            $({
                let tensor: Tensor = $call;
                let error = match tensor.check() {
                    Err(error) => error,
                    Ok(()) => panic!("{} accepts {}", $name, stringify!($call)),
                };
                assert_eq!(error.operation(), $name, "{error}");
                let origin = error.origin().unwrap();
                assert!(origin.file().ends_with("refused.rs"), "{error}");
                lines.push(origin.line());
            })*
            // Every call has a line of its own, and they come in this order.
            assert!(lines.windows(2).all(|pair| pair[0] < pair[1]), "{lines:?}");
        }
    };
}

fn weighed(weight: Tensor) -> LossOptions {
    LossOptions { weight: Some(weight), ..Default::default() }
}

refused! { losses:
    "cross_entropy": cross_entropy_with(&f(&[2, 3]), &i(&[2]), &weighed(f(&[2])));
    "cross_entropy": cross_entropy_with(&f(&[2, 3]), &i(&[2]), &weighed(i(&[3])));
    "cross_entropy": cross_entropy_with(&f(&[2, 3]), &i(&[2]), &LossOptions { pos_weight: Some(f(&[3])), ..Default::default() });
    "cross_entropy": cross_entropy_with(&f(&[2, 3]), &i(&[3]), &weighed(f(&[3])));
    "nll": nll_with(&f(&[2, 3]), &i(&[2]), &LossOptions { label_smoothing: 0.1, ..Default::default() });
    "cross_entropy_of_distributions": cross_entropy_of_distributions_with(&f(&[2, 3]), &f(&[2, 3]), &weighed(f(&[2])));
    "cross_entropy_of_distributions": cross_entropy_of_distributions_with(&f(&[2, 3]), &f(&[2, 4]), &weighed(f(&[3])));
    "kl_div_of_logs": kl_div_of_logs(&f(&[2, 3]), &f(&[2, 4]));
    "bce_with_logits": bce_with_logits_with(&f(&[2, 3]), &f(&[2, 3]), &weighed(f(&[2])));
    "bce_with_logits": bce_with_logits_with(&f(&[2, 3]), &f(&[3]), &weighed(f(&[3])));
    "bce": bce_with(&f(&[2, 3]), &f(&[2, 3]), &LossOptions { pos_weight: Some(f(&[3])), ..Default::default() });
    "soft_margin": soft_margin(&f(&[2, 3]), &f(&[3]));
    "focal": focal(&f(&[2]), &f(&[2]), -1.0, None);
    "focal": focal(&f(&[2]), &f(&[2]), 1.0, Some(2.0));
    "focal": focal(&f(&[2]), &f(&[3]), 1.0, None);
    "poisson_nll": poisson_nll(&f(&[2]), &f(&[2]), &PoissonNllOptions { eps: -1.0, ..Default::default() });
    "gaussian_nll": gaussian_nll(&f(&[2]), &f(&[2]), &f(&[2]), &GaussianNllOptions { eps: 0.0, ..Default::default() });
    "gaussian_nll": gaussian_nll(&f(&[2]), &f(&[2]), &f(&[3]), &Default::default());
    "gaussian_nll": gaussian_nll(&f(&[2]), &f(&[3]), &f(&[2]), &Default::default());
    "hinge": hinge(&f(&[2]), &f(&[3]));
    "squared_hinge": squared_hinge(&f(&[2]), &i(&[2]));
    "margin_ranking": margin_ranking(&f(&[2]), &f(&[2]), &f(&[3]), 0.0);
    "margin_ranking": margin_ranking(&f(&[2]), &f(&[2]), &f(&[2]), f64::NAN);
    "hinge_embedding": hinge_embedding(&f(&[2]), &f(&[2]), f64::INFINITY);
    "multi_margin": multi_margin(&f(&[2, 3]), &i(&[2]), &MarginOptions { p: 3, ..Default::default() });
    "multi_margin": multi_margin(&f(&[2, 3]), &i(&[2]), &MarginOptions { weight: Some(f(&[2])), ..Default::default() });
    "multi_margin": multi_margin(&f(&[2, 3]), &f(&[2]), &Default::default());
    "multilabel_margin": multilabel_margin(&f(&[2, 3]), &i(&[2]));
    "multilabel_margin": multilabel_margin(&f(&[2, 3]), &f(&[2, 3]));
    "multilabel_margin": multilabel_margin(&f(&[]), &i(&[]));
    "multilabel_soft_margin": multilabel_soft_margin(&f(&[2, 0]), &f(&[2, 0]));
    "multilabel_soft_margin": multilabel_soft_margin_with(&f(&[2, 3]), &f(&[2, 3]), &weighed(f(&[2])));
    "cosine_embedding": cosine_embedding(&f(&[2, 3]), &f(&[2, 3]), &f(&[3]), 0.0);
    "cosine_embedding": cosine_embedding(&f(&[]), &f(&[]), &f(&[]), 0.0);
    "triplet_margin": triplet_margin(&f(&[2, 3]), &f(&[2, 3]), &f(&[2, 4]), &Default::default());
    "triplet_margin": triplet_margin(&f(&[2, 3]), &f(&[2, 3]), &f(&[2, 3]), &TripletOptions { p: 0.5, ..Default::default() });
    "triplet_margin": triplet_margin(&f(&[2, 0]), &f(&[2, 0]), &f(&[2, 0]), &Default::default());
    "ctc": ctc(&f(&[3, 2, 4]), &i(&[2, 1]), &i(&[2]), &i(&[3]), &Default::default());
    "ctc": ctc(&f(&[3, 2, 4]), &f(&[2, 1]), &i(&[2]), &i(&[2]), &Default::default());
    "ctc": ctc(&f(&[3, 2, 4]), &i(&[2, 1]), &i(&[2]), &i(&[2]), &CtcOptions { blank: 4, ..Default::default() });
    "ctc": ctc(&f(&[0, 2, 4]), &i(&[2, 1]), &i(&[2]), &i(&[2]), &Default::default());
    "ctc": ctc_each(&i(&[3, 2, 4]), &i(&[2, 1]), &i(&[2]), &i(&[2]), &Default::default());
}
