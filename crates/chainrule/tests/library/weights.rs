//! Models in files: what is saved is what is loaded, for every element type, and files that do not
//! fit are refused.

use chainrule::io::safetensors::{RawDtype, RawTensor, write};
use chainrule::io::weights::{self, WeightsError};
use chainrule::prelude::*;

#[test]
fn every_element_type_and_shape_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.safetensors");
    let mut tensors = Vec::new();
    for dtype in DType::ALL {
        for shape in [vec![], vec![3], vec![2, 0, 5], vec![2, 3, 4]] {
            let values = (Tensor::randn_of(&shape, DType::F64, &mut Rng::new(tensors.len() as u64)) * 50.0 + 100.0).cast(dtype);
            tensors.push((format!("{dtype}.{shape:?}"), values));
        }
    }
    let metadata = [("a".to_string(), "ü\n\"".to_string()), ("b".to_string(), String::new())];
    weights::save_tensors(&path, &tensors, &metadata).unwrap();
    let (loaded, said) = weights::load_tensors(&path).unwrap();
    assert_eq!(said, metadata);
    assert_eq!(loaded.len(), tensors.len());
    for ((name, saved), (loaded_name, loaded)) in tensors.iter().zip(&loaded) {
        assert_eq!((name, saved.ty()), (loaded_name, loaded.ty()));
        assert_eq!(saved.to_data().unwrap().bytes(), loaded.to_data().unwrap().bytes(), "{name}");
    }
}

#[test]
fn a_model_comes_back_and_another_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let model = |sizes: &[usize], seed| Mlp::new(sizes, Activation::Relu, &mut Rng::new(seed));
    let saved = model(&[3, 4, 2], 1);
    weights::save(&path, &saved, &[]).unwrap();
    let mut loaded = model(&[3, 4, 2], 2);
    weights::load(&path, &mut loaded).unwrap();
    let x = Tensor::ones([1, 3]);
    assert_eq!(loaded.forward(&x).to_vec::<f32>().unwrap(), saved.forward(&x).to_vec::<f32>().unwrap());
    let mut deeper = model(&[3, 4, 4, 2], 2);
    let error = weights::load(&path, &mut deeper).unwrap_err();
    let WeightsError::State { problem, .. } = &error else { panic!("{error}") };
    assert_eq!(problem.missing, ["layers.2.weight", "layers.2.bias"]);
    assert_eq!(problem.different.len(), 2);
    assert!(error.to_string().contains("model.safetensors"), "{error}");
}

#[test]
fn an_error_while_computing_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, "old").unwrap();
    let spoilt = Tensor::ones([2]).matmul(&Tensor::ones([3]));
    let error = weights::save(&path, &spoilt, &[]).unwrap_err();
    assert!(matches!(error, WeightsError::Engine(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
}

#[test]
fn types_that_no_tensor_has_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.safetensors");
    for &dtype in RawDtype::ALL {
        let raw = RawTensor { dtype, shape: vec![1], bytes: vec![0; dtype.bytes()].into() };
        write(&path, &[("x", raw)], &[]).unwrap();
        let known = DType::ALL.iter().any(|known| known.name().eq_ignore_ascii_case(dtype.name()));
        match weights::load_tensors(&path) {
            Ok(_) => assert!(known, "{dtype:?}"),
            Err(error) => {
                assert!(!known, "{dtype:?}");
                assert!(error.to_string().contains(&format!("tensor x holds {}", dtype.name())), "{error}");
            }
        }
    }
}
