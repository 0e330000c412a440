//! Batches: every example once in an epoch, orders that differ, places to go on from, and inputs
//! that are refused.

use chainrule::prelude::*;

fn rows(batch: &[Tensor]) -> Vec<i64> {
    batch[0].to_vec::<i64>().unwrap()
}

fn numbers(count: usize) -> Tensor {
    Tensor::arange(count, DType::I64)
}

#[test]
fn every_example_comes_once_whatever_the_sizes() {
    for count in [1, 2, 3, 7, 16, 17] {
        for size in 1..=count {
            for last in [LastBatch::Drop, LastBatch::Fill, LastBatch::Short] {
                let mut batches = Batches::new(&[&numbers(count)], size, &mut Rng::new(1)).unwrap().last(last);
                for _ in 0..2 {
                    let all: Vec<Vec<i64>> = batches.by_ref().map(|batch| rows(&batch)).collect();
                    let what = format!("{count} by {size}, {last:?}: {all:?}");
                    assert_eq!(all.len(), batches.per_epoch(), "{what}");
                    let mut seen = all.concat();
                    let whole = seen.len().min(count);
                    let meant = match last {
                        LastBatch::Drop => count / size * size,
                        LastBatch::Fill => count.div_ceil(size) * size,
                        LastBatch::Short => count,
                    };
                    assert_eq!(seen.len(), meant, "{what}");
                    // What fills the last batch are the first of the epoch.
                    let (first, rest) = seen.split_at_mut(whole);
                    assert_eq!(rest, &first[..rest.len()], "{what}");
                    first.sort_unstable();
                    assert!(first.windows(2).all(|pair| pair[0] < pair[1]), "{what}");
                }
            }
        }
    }
}

#[test]
fn orders_differ_between_epochs_and_seeds_and_repeat_for_a_seed() {
    let epochs = |seed| {
        let mut batches = Batches::new(&[&numbers(40)], 40, &mut Rng::new(seed)).unwrap();
        [0, 1, 2].map(|_| rows(&batches.by_ref().flatten().collect::<Vec<_>>()))
    };
    let first = epochs(1);
    assert_eq!(first, epochs(1));
    assert_ne!(first, epochs(2));
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
}

#[test]
fn rows_of_all_tensors_stay_together() {
    let x = Tensor::from_slice(&(0..60).map(|i| i as f64).collect::<Vec<_>>(), [10, 2, 3]);
    let flags = Tensor::from_slice(&[0u8, 1, 0, 1, 0, 1, 0, 1, 0, 1], [10]);
    let nothing = Tensor::zeros([10, 0]);
    let batches = Batches::new(&[&numbers(10), &x, &flags, &nothing], 3, &mut Rng::new(2)).unwrap();
    for batch in batches.take(3) {
        let index = rows(&batch);
        let shapes: Vec<&[usize]> = batch.iter().map(Tensor::shape).collect();
        assert_eq!(shapes, [&[3][..], &[3, 2, 3], &[3], &[3, 0]]);
        let x = batch[1].to_vec::<f64>().unwrap();
        let flags = batch[2].to_vec::<u8>().unwrap();
        for (at, &i) in index.iter().enumerate() {
            assert_eq!(x[at * 6..][..6], [0, 1, 2, 3, 4, 5].map(|k| (i * 6 + k) as f64));
            assert_eq!(flags[at] as i64, i % 2);
        }
    }
}

#[test]
fn each_place_can_be_gone_back_to() {
    let new = || Batches::new(&[&numbers(11)], 3, &mut Rng::new(4)).unwrap().last(LastBatch::Short);
    let mut batches = new();
    for _ in 0..12 {
        let place = batches.place();
        let meant = batches.next().map(|batch| rows(&batch));
        let mut other = new();
        other.go_to(place);
        assert_eq!(other.next().map(|batch| rows(&batch)), meant);
        assert_eq!(other.place(), batches.place());
    }
    // A place from a damaged file may be anywhere: it is the end of an epoch.
    let mut place = batches.place();
    (place.epoch, place.position) = (u64::MAX - 1, u64::MAX);
    batches.go_to(place);
    assert!(batches.next().is_none());
    assert!(batches.next().is_some());
}

#[test]
fn what_cannot_be_batched_is_refused() {
    let refused = |tensors: &[&Tensor], size| Batches::new(tensors, size, &mut Rng::new(0)).unwrap_err().to_string();
    let five = numbers(5);
    assert!(refused(&[], 1).contains("no tensor"));
    assert!(refused(&[&five, &numbers(4)], 1).contains("[[5], [4]]"));
    assert!(refused(&[&Tensor::zeros(())], 1).contains("no common first axis"));
    assert!(refused(&[&five], 0).contains("choose a size from 1 to 5"));
    assert!(refused(&[&five], 6).contains("batches of 6 from 5 examples"));
    assert!(refused(&[&Tensor::zeros([0, 3])], 1).contains("0 examples"));
    assert!(refused(&[&Tensor::ones([2]).matmul(&Tensor::ones([3]))], 1).contains("inner dimensions"));
}
