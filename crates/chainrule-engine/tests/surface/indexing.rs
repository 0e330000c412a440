//! `at`, ranges and parts against NumPy's stored results; the ways to write an index; mistakes.

use crate::host::{Dice, Host, SHAPES};
use crate::mistake;
use chainrule_engine::tensor::indexing::{Index, Steps};
use chainrule_engine::{ErrorKind, Tensor};

fn numbers<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Vec<T> {
    text.split(',').filter(|word| !word.is_empty()).map(|word| word.parse().unwrap()).collect()
}

/// An index as the stored file writes it.
fn index(text: &str) -> Index {
    match text {
        "new" => Index::NewAxis,
        "..." => Index::Ellipsis,
        _ if !text.contains(':') => Index::At(text.parse().unwrap()),
        _ => {
            let bounds: Vec<Option<isize>> = text.split(':').map(|word| (!word.is_empty()).then(|| word.parse().unwrap())).collect();
            Index::Range { start: bounds[0], stop: bounds[1], step: bounds[2].unwrap_or(1) }
        }
    }
}

#[test]
fn indices_give_what_numpy_gives() {
    let mut compared = 0;
    for line in include_str!("../data/numpy_indexing.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let indices: Vec<Index> = fields[1].split_whitespace().map(index).collect();
        let expected: Host = Host { shape: numbers(fields[2]), values: numbers(fields[3]) };
        let part = Host::counting(&numbers::<usize>(fields[0])).tensor().at(&indices[..]);
        assert_eq!(Host::of(&part), expected, "{line}");
        compared += 1;
    }
    assert_eq!(compared, 500);
}

#[test]
fn every_way_to_write_an_index() {
    let x = Tensor::from([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]);
    let flat = |part: Tensor| part.to_vec::<i32>().unwrap();
    assert_eq!(flat(x.at(1)), [4, 5, 6, 7]);
    assert_eq!(flat(x.at(-1isize)), [8, 9, 10, 11]);
    assert_eq!(flat(x.at(2usize)), [8, 9, 10, 11]);
    assert_eq!(flat(x.at(0..1)), [0, 1, 2, 3]);
    assert_eq!(flat(x.at((.., 0))), [0, 4, 8]);
    assert_eq!(flat(x.at((1, 1..3))), [5, 6]);
    assert_eq!(flat(x.at((1, ..=1))), [4, 5]);
    assert_eq!(flat(x.at((1, 1..=-2))), [5, 6]);
    assert_eq!(flat(x.at((1, 1..=-1))), [5, 6, 7]);
    assert_eq!(flat(x.at((1, ..-1))), [4, 5, 6]);
    assert_eq!(flat(x.at((1, 1..-1))), [5, 6]);
    assert_eq!(flat(x.at((1, Index::range(1, -1, 1)))), [5, 6]);
    assert_eq!(flat(x.at((1, Index::range(-1, 0, -2)))), [7, 5]);
    assert_eq!(flat(x.at((1, -2..))), [6, 7]);
    assert_eq!(flat(x.at(((..).by(-2), (3..1).by(-1)))), [11, 10, 3, 2]);
    assert_eq!(flat(x.at([Index::At(0), Index::from(2usize..)])), [2, 3]);
    assert_eq!(flat(x.at(vec![Index::At(0), (0..=usize::MAX).into()])), [0, 1, 2, 3]);
    assert_eq!(flat(x.at((1, i32::MIN..i32::MAX))), [4, 5, 6, 7]);
    assert_eq!(flat(x.at((1, (isize::MAX..isize::MIN).by(isize::MIN)))), [7]);
    assert_eq!(flat(x.at((1, Index::Range { start: Some(isize::MIN), stop: Some(isize::MAX), step: isize::MAX }))), [4]);
    assert_eq!(x.at((Index::NewAxis, .., Index::NewAxis, 0..0)).shape(), [1, 3, 1, 0]);
    assert_eq!(x.at((Index::NewAxis, 0, Index::Ellipsis, 0, Index::NewAxis, Index::NewAxis)).shape(), [1, 1, 1]);
    // Whole axes need no operation at all.
    assert!(x.at((.., 0..)).is(&x));
}

#[test]
fn slices_and_positions_on_one_axis() {
    let mut dice = Dice::new(3);
    for shape in SHAPES {
        let host = Host::counting(shape);
        for axis in 0..shape.len() {
            let size = shape[axis];
            let (start, stop) = (dice.roll(0, size as i64 + 1) as usize, dice.roll(0, size as i64 + 2) as usize);
            let stop = stop.max(start).min(size);
            let mut sliced = shape.to_vec();
            sliced[axis] = stop - start;
            let expected = Host::from_fn(&sliced, |index| {
                let mut from = index.to_vec();
                from[axis] += start;
                host.at(&from)
            });
            assert_eq!(Host::of(&host.tensor().slice(axis as isize, start..stop)), expected);
            assert_eq!(Host::of(&host.tensor().slice(axis as isize - shape.len() as isize, start..stop)), expected);
            for position in 0..size {
                let mut rest = shape.to_vec();
                rest.remove(axis);
                let expected = Host::from_fn(&rest, |index| {
                    let mut from = index.to_vec();
                    from.insert(axis, position);
                    host.at(&from)
                });
                assert_eq!(Host::of(&host.tensor().index(axis as isize, position as isize)), expected);
                assert_eq!(Host::of(&host.tensor().index(axis as isize, position as isize - size as isize)), expected);
            }
        }
    }
}

#[test]
fn parts_laid_end_to_end_are_the_whole() {
    for shape in SHAPES.into_iter().filter(|shape| !shape.is_empty()) {
        let x = Host::counting(shape).tensor();
        for (axis, &size) in shape.iter().enumerate() {
            for count in 1..=size.max(1) {
                let parts = x.chunk(count, axis as isize);
                assert_eq!(parts.len(), count);
                let sizes: Vec<usize> = parts.iter().map(|part| part.shape()[axis]).collect();
                assert!(sizes.is_sorted_by(|a, b| a >= b) && sizes[0] - sizes[count - 1] <= 1, "{sizes:?}");
                let joined = Tensor::concat(&parts.iter().collect::<Vec<_>>(), axis as isize);
                assert_eq!(Host::<i64>::of(&joined), Host::of(&x));
            }
            let sizes = [size / 2, 0, size - size / 2];
            let parts = x.split(&sizes, axis as isize);
            assert!(parts.iter().map(|part| part.shape()[axis]).eq(sizes));
            let joined = Tensor::concat(&parts.iter().collect::<Vec<_>>(), axis as isize);
            assert_eq!(Host::<i64>::of(&joined), Host::of(&x));
        }
    }
}

#[test]
fn mistakes_name_the_axis_the_size_and_the_line() {
    let x = Tensor::zeros([2, 3]);
    let at = |line: u32| format!("{}:{line}", file!());
    let (part, line) = (x.at((.., 3)), line!());
    assert_eq!(mistake(&part), format!("index at {}: position 3 is outside axis 1 of size 3, shape [2, 3]", at(line)));
    assert_eq!(part.error().unwrap().kind(), ErrorKind::Index);
    let (part, line) = (x.index(0, -3), line!());
    assert_eq!(mistake(&part), format!("index at {}: position -3 is outside axis 0 of size 2, shape [2, 3]", at(line)));
    let (part, line) = (x.slice(2, ..), line!());
    assert_eq!(mistake(&part), format!("slice at {}: axis 2 of [2, 3]", at(line)));
    let (parts, line) = (x.split(&[1, 1], 1), line!());
    assert_eq!(parts.len(), 2);
    assert_eq!(mistake(&parts[1]), format!("split at {}: parts of sizes [1, 1] do not make up axis 1 of [2, 3]", at(line)));
    let (parts, line) = (x.chunk(4, 1), line!());
    assert_eq!(parts.len(), 4);
    assert_eq!(mistake(&parts[3]), format!("chunk at {}: axis 1 of [2, 3] cannot be cut into 4 parts of at least 1", at(line)));

    let ends = |tensor: &Tensor, end: &str| assert!(mistake(tensor).ends_with(end), "{}", mistake(tensor));
    ends(&x.at((0, 0, 0)), "3 indices for the 2 axes of [2, 3]");
    ends(&x.at((Index::Ellipsis, Index::Ellipsis)), "more than one `Ellipsis`: which axes each covers is not determined");
    ends(&x.at((.., (..).by(0))), "the step along axis 1 is 0");
    ends(&x.slice(0, 1), "takes a range, not At(1); see `index` and `at`");
    ends(&Tensor::zeros([0]).at(0), "position 0 is outside axis 0 of size 0, shape [0]");
    ends(&x.at(isize::MIN), "position -9223372036854775808 is outside axis 0 of size 2, shape [2, 3]");
    ends(&x.split(&[usize::MAX, 4], 1)[0], "do not make up axis 1 of [2, 3]");
    assert_eq!(x.split(&[], 1).len(), 1);
    assert_eq!(x.chunk(0, 1).len(), 1);
    assert_eq!(x.chunk(usize::MAX, 1).len(), 65_536);
    // The first cause is kept.
    let first = mistake(&part.at(7));
    assert_eq!(first, mistake(&part));
    assert!(part.chunk(3, 0).iter().chain(&part.split(&[1], 0)).all(|part| mistake(part) == first));
}
