//! Sizes and numbers that no program means: each is a mistake with its line, and nothing panics,
//! overflows, or asks for more memory than there is.

use crate::support::leaf;
use chainrule_engine::ops::{Random, Reverse};
use chainrule_engine::tensor::Type;
use chainrule_engine::{DType, Data, ErrorKind, Rng, Step, Tensor};

const HUGE: usize = usize::MAX;

#[track_caller]
fn refused(name: &str, tensor: Tensor, kind: ErrorKind) {
    match tensor.eval() {
        Ok(value) => panic!("{name}: {value:?}"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{name}: {error}");
            assert!(error.to_string().contains(file!()), "{name}: {error}");
        }
    }
}

#[test]
fn sizes_that_overflow_are_refused_even_beside_a_zero() {
    use ErrorKind::{Argument, Machine, Shape};
    let (x, none) = (Tensor::from([1, 2]), Tensor::from_slice::<f32>(&[], 0));
    let rng = &mut Rng::new(1);
    for (name, tensor, kind) in [
        ("zeros", Tensor::zeros([HUGE, 2, 0]), Shape),
        ("values", Tensor::from_slice::<f32>(&[], [HUGE, 2, 0]), Shape),
        ("placeholder", Tensor::placeholder([HUGE, 3], DType::F32), Shape),
        ("placeholder beside a zero", Tensor::placeholder([HUGE, 3, 0], DType::F32), Shape),
        ("reshape", none.reshape([0, HUGE, HUGE]), Shape),
        ("broadcast", Tensor::zeros([0, 1]).broadcast_to([0, HUGE]), Shape),
        ("linspace", Tensor::linspace(0.0, 1.0, HUGE, DType::F32), Machine),
        ("arange", Tensor::arange(HUGE, DType::U8), Shape),
        ("eye", Tensor::eye(HUGE, DType::F32), Shape),
        ("one hot", x.one_hot(HUGE, DType::F32), Shape),
        ("repeat", x.repeat(HUGE, 0), Shape),
        ("tile", x.tile(&[HUGE, 3]), Shape),
        ("pad", x.pad(&[(HUGE, HUGE)]), Shape),
        ("scatter", x.scatter_add(&x, HUGE), Shape),
        ("split", x.split(&[HUGE, 3], 0).remove(0), Shape),
        ("random", Tensor::rand([HUGE, 2], rng), Shape),
        (
            "random numbers to the end of the stream",
            Tensor::record(Random { bits: 8, shape: [4].as_slice().into(), offset: u64::MAX - 3 }, [rng.key()]),
            Shape,
        ),
        ("integers below nothing", Tensor::randint([2], 0, rng), Argument),
        ("a probability that is none", Tensor::bernoulli([2], f64::NAN, rng), Argument),
        ("a probability above 1", Tensor::bernoulli([2], 1.5, rng), Argument),
    ] {
        refused(name, tensor, kind);
    }
    // As far as it goes, it goes.
    assert_eq!(Tensor::zeros([1 << 40, 0, 1 << 10]).to_vec::<f32>().ok(), Some(vec![]));
    let end = Random { bits: 8, shape: [4].as_slice().into(), offset: u64::MAX - 4 };
    assert_eq!(Tensor::record(end, [rng.key()]).to_vec::<i32>().map(|v| v.len()).ok(), Some(4));
}

#[test]
fn a_tensor_has_no_more_axes_than_a_product_has_labels() {
    let ones = |n: usize| Tensor::from_slice(&[2.0f64], vec![1; n]);
    refused("values", ones(Type::MOST_AXES + 1), ErrorKind::Shape);
    refused("unsqueeze", ones(Type::MOST_AXES).unsqueeze(0), ErrorKind::Shape);
    refused("placeholder", Tensor::placeholder(vec![1; 300], DType::F32), ErrorKind::Shape);
    let x = ones(Type::MOST_AXES);
    let y = x.matmul(&x).sum();
    assert_eq!(y.item().ok(), Some(4.0));
    assert_eq!(y.grad(&[&x]).and_then(|g| g[0].sum().item()).ok(), Some(4.0));
}

#[test]
fn counts_of_keys_end_where_they_began() {
    let mut rng = Rng::resume(1, u64::MAX);
    rng.key();
    assert_eq!((rng.count(), rng.next_u64()), (0, Rng::new(1).next_u64()));
}

#[test]
fn a_label_twice_in_one_operand_is_no_sum() {
    let x = leaf(&[1.0, 2.0, 3.0, 4.0], &[2, 2]);
    // Summing both axes by themselves would give 10 where the diagonal gives 5.
    refused("left", x.einsum("ii,jk->jk", &x), ErrorKind::Argument);
    refused("right", x.einsum("jk,ii->jk", &x), ErrorKind::Argument);
    refused("kept", x.einsum("iij,jk->ik", &x), ErrorKind::Argument);
    refused("letters of two bytes", x.einsum("\u{e9}j,jk->k", &x), ErrorKind::Shape);
}

#[test]
fn memory_that_is_not_there_is_an_error() {
    for len in [HUGE, HUGE / 2, 1 << 60] {
        match Data::try_zeros(DType::F64, len) {
            Ok(data) => panic!("{data:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Machine, "{error}"),
        }
    }
    assert_eq!(Data::try_zeros(DType::F32, 3).map(|data| data.to_f64()).ok(), Some(vec![0.0; 3]));
}

/// Large enough that no machine has it, small enough that its bytes can be counted.
const UNHEARD_OF: usize = 1 << 45;

#[track_caller]
fn no_room(name: &str, error: &chainrule_engine::Error, size: &str) {
    assert_eq!(error.kind(), ErrorKind::Machine, "{name}: {error}");
    let text = error.to_string();
    for part in [file!(), size, "make the tensors smaller"] {
        assert!(text.contains(part), "{name} without {part}: {text}");
    }
}

#[test]
fn values_that_no_machine_holds_are_an_error() {
    let size = UNHEARD_OF.to_string();
    let running = |len: usize| Tensor::full([len], 1.0, DType::F32).cumsum(0);
    // Each of several values alone could be counted, their sum not.
    let several = (1..8).map(|i| (running(1 << 60) * i as f64).cumsum(0).sum()).fold(Tensor::zeros(()), |sum, x| sum + x);
    for (name, tensor, size) in [
        ("zeros", Tensor::zeros([UNHEARD_OF]), &*size),
        ("a result", Tensor::full([UNHEARD_OF], 1.0, DType::F32), &size),
        ("an intermediate value", running(UNHEARD_OF).sum(), &size),
        ("several", several, &(1u64 << 60).to_string()),
    ] {
        match tensor.eval() {
            Ok(value) => panic!("{name}: {value:?}"),
            Err(error) => no_room(name, &error, size),
        }
    }
}

#[test]
fn a_step_that_no_machine_holds_is_an_error() {
    let size = UNHEARD_OF.to_string();
    let (w, x) = (Tensor::from([1.0f32]), Tensor::placeholder([1], DType::F32));
    let running = (&x * &w).broadcast_to([UNHEARD_OF]).cumsum(0);
    for (name, outputs, updates) in [
        ("an output", vec![&running], vec![]),
        ("an intermediate value", vec![], vec![(&w, running.slice(0, 0..1))]),
        ("both", vec![&running], vec![(&w, running.sum().reshape([1]))]),
    ] {
        let updates: Vec<(&Tensor, &Tensor)> = updates.iter().map(|(old, new)| (*old, new)).collect();
        match Step::capture(&[&x], &outputs, &updates) {
            Ok(step) => panic!("{name}: {} bytes", step.arena_bytes()),
            Err(error) => no_room(name, &error, &size),
        }
    }
}

#[test]
fn numbers_of_the_host_follow_the_key_not_the_node() {
    let drawn = |key: i64| Rng::from_key(&Tensor::from_slice(&[key], ())).next_u64();
    assert_eq!(drawn(7), drawn(7));
    assert_ne!(drawn(7), drawn(8));
    assert_eq!(Rng::from_key(&Tensor::placeholder((), DType::I64)).next_u64(), drawn(0));
}

#[test]
fn an_axis_is_reversed_once() {
    refused("twice", Tensor::record(Reverse([0, 0].as_slice().into()), [Tensor::zeros([2])]), ErrorKind::Shape);
}

#[test]
fn numbers_outside_an_integer_type_are_refused_not_cut_off() {
    let x = Tensor::from([0u8, 5, 250]);
    refused("above", &x + 300, ErrorKind::DType);
    refused("below", &x * -1, ErrorKind::DType);
    refused("i32", Tensor::full([2], 1e10, DType::I32), ErrorKind::DType);
    refused("i64", Tensor::full([2], 2f64.powi(63), DType::I64), ErrorKind::DType);
    refused("NaN", Tensor::full([2], f64::NAN, DType::I32), ErrorKind::DType);
    refused("padding", x.pad_with(&[(1, 0)], -1.0), ErrorKind::DType);
    assert_eq!(Tensor::full([1], -(2f64.powi(63)), DType::I64).to_vec::<i64>().ok(), Some(vec![i64::MIN]));
    // Between bounds that no element reaches, everything stays.
    assert_eq!(x.clamp(-1.0, 300.0).to_vec::<u8>().ok(), Some(vec![0, 5, 250]));
    assert_eq!(Tensor::from([i64::MIN, i64::MAX]).clamp(-1e300, 1e300).to_vec::<i64>().ok(), Some(vec![i64::MIN, i64::MAX]));
}

#[test]
fn what_has_no_sign_is_its_own_magnitude() {
    assert_eq!(Tensor::from([0u8, 5, 250]).abs().to_vec::<u8>().ok(), Some(vec![0, 5, 250]));
}

#[test]
fn any_byte_but_zero_is_true() {
    let flags = Tensor::from_data(Data::from_bytes(DType::Bool, &[0, 1, 2, 255]), 4);
    assert_eq!(flags.cast(DType::F32).to_vec::<f32>().ok(), Some(vec![0.0, 1.0, 1.0, 1.0]));
    assert_eq!(flags.equal(&Tensor::from([false, true, true, true])).to_vec::<bool>().ok(), Some(vec![true; 4]));
}

#[test]
fn a_variance_of_too_few_numbers_is_not_known() {
    let x = leaf(&[1.0, 2.0], &[2]);
    for correction in [2, 3, HUGE] {
        assert!(x.var(correction).item().is_ok_and(f64::is_nan));
        assert!(x.std(correction).item().is_ok_and(f64::is_nan));
    }
}

#[test]
fn random_numbers_of_whole_types_are_asked_for_by_another_name() {
    for tensor in [Tensor::rand_of([2], DType::I32, &mut Rng::new(1)), Tensor::randn_of([2], DType::U8, &mut Rng::new(1))] {
        refused("random", tensor, ErrorKind::DType);
    }
}
