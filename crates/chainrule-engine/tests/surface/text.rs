//! `{}` against NumPy's stored text; `{:?}`, scalars, precision, and mistakes as text.

use chainrule_engine::tensor::Type;
use chainrule_engine::{DType, Tensor, scope};
use half::{bf16, f16};

/// The array a line of the stored file describes.
fn stored(line: &str) -> Tensor {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let shape: Vec<usize> = fields[1].split(',').map(|size| size.parse().unwrap()).collect();
    let words: Vec<String> = fields[2]
        .split(',')
        .filter(|word| !word.is_empty())
        .flat_map(|word| match word.strip_prefix('~') {
            Some(count) => vec!["1".to_string(); count.parse().unwrap()],
            None => vec![word.to_string()],
        })
        .collect();
    let bits = |word: &String| u64::from_str_radix(word, 16).unwrap();
    match fields[0] {
        "f32" => Tensor::from_vec(words.iter().map(|word| f32::from_bits(bits(word) as u32)).collect(), shape),
        "f64" => Tensor::from_vec(words.iter().map(|word| f64::from_bits(bits(word))).collect(), shape),
        "f16" => Tensor::from_vec(words.iter().map(|word| f16::from_bits(bits(word) as u16)).collect(), shape),
        "i64" => Tensor::from_vec(words.iter().map(|word| word.parse::<i64>().unwrap()).collect(), shape),
        "i32" => Tensor::from_vec(words.iter().map(|word| word.parse::<i32>().unwrap()).collect(), shape),
        "u8" => Tensor::from_vec(words.iter().map(|word| word.parse::<u8>().unwrap()).collect(), shape),
        other => panic!("no element type {other}"),
    }
}

#[test]
fn arrays_read_as_numpy_prints_them() {
    let mut compared = 0;
    let (_, cases) = include_str!("../data/numpy_text.txt").split_once('\n').unwrap();
    for case in cases.split_terminator("---\n") {
        let (header, expected) = case.split_once('\n').unwrap();
        assert_eq!(stored(header).to_string(), expected.trim_end_matches('\n'), "{}", &header[..header.len().min(100)]);
        compared += 1;
    }
    assert!(compared > 90, "{compared}");
}

#[test]
fn scalars_are_plain() {
    for (tensor, text) in [
        (Tensor::from(1.0), "1.0"),
        (Tensor::from(-0.1), "-0.1"),
        (Tensor::f64(0.1 + 0.2), "0.30000000000000004"),
        (Tensor::from(1e-4), "0.0001"),
        (Tensor::from(1.5e-5), "1.5e-05"),
        (Tensor::from(1e20), "1e+20"),
        (Tensor::from(123456.0), "123456.0"),
        (Tensor::f64(1e-300), "1e-300"),
        (Tensor::from(0.0), "0.0"),
        (Tensor::from(-0.0), "-0.0"),
        (Tensor::from(f64::NAN), "nan"),
        (Tensor::from(f64::NEG_INFINITY), "-inf"),
        (Tensor::from(bf16::from_f32(0.1)), "0.1"),
        (Tensor::from(f16::from_f32(0.1)), "0.1"),
        (Tensor::from(bf16::MAX), "3.39e+38"),
        (Tensor::from(-3), "-3"),
        (Tensor::from(i64::MIN), "-9223372036854775808"),
        (Tensor::from(true), "true"),
    ] {
        assert_eq!(tensor.to_string(), text);
    }
}

#[test]
fn bools_and_emptiness() {
    assert_eq!(Tensor::from([[true, false], [false, true]]).to_string(), "[[ true false]\n [false  true]]");
    assert_eq!(Tensor::zeros([0]).to_string(), "[]");
    assert_eq!(Tensor::zeros([2, 0]).to_string(), "[] (shape [2, 0])");
    assert_eq!(Tensor::zeros([1; 5]).to_string(), "[[[[[0.]]]]]");
    let deep = Tensor::zeros(vec![1; Type::MOST_AXES]).to_string();
    assert_eq!(deep.len(), 2 * Type::MOST_AXES + 2);
}

#[test]
fn flags_of_the_format() {
    let x = Tensor::from([[1.0, 2.25], [-1e-9, 1e9]]);
    assert_eq!(format!("{x:.3}"), "[[         1.000          2.250]\n [        -0.000 1000000000.000]]");
    assert_eq!(format!("{:.0}", Tensor::from([1.5, 2.5])), "[2 2]");
    assert_eq!(format!("{:.1}", Tensor::from([f64::NAN, 2.0])), "[nan 2.0]");
    assert_eq!(format!("{:.2}", Tensor::from([1, 2])), "[1 2]");
    assert_eq!(format!("{:6}", Tensor::from([1, 2])), "[     1      2]");
    assert_eq!(format!("{:.3}", Tensor::from(0.00001)), "0.000");
    assert_eq!(format!("{:8.3}|", Tensor::from(2.0)), "   2.000|");
    assert_eq!(format!("{:8}|{:6}|{:4}|", Tensor::from(2.0), Tensor::from(true), Tensor::from(3)), "     2.0|  true|   3|");
    assert_eq!(format!("{:.3}", Tensor::from(f64::INFINITY)), "inf");
    // Wider than a format width may be.
    assert_eq!(format!("{:.65535}", Tensor::f64([1e300])).len(), 301 + 65_538);
}

#[test]
fn the_node_is_shown_without_being_evaluated() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let (y, line) = (scope("encoder", || x.matmul(&x)), line!());
    assert_eq!(format!("{y:?}"), format!("Tensor(f32 [2, 2] = einsum at {}:{line} in encoder, not evaluated)", file!()));
    assert_eq!(format!("{y:?}"), format!("{:?}", y.clone()), "printing evaluated it");
    y.eval().unwrap();
    assert_eq!(format!("{y:?}"), format!("Tensor(f32 [2, 2] = einsum at {}:{line} in encoder: [[ 7. 10.] [15. 22.]])", file!()));
    let (long, line) = (Tensor::from_vec((0..100i64).collect(), [2, 50]), line!());
    let values = "[[ 0  1  2 ... 47 48 49] [50 51 52 ... 97 98 99]]";
    assert_eq!(format!("{long:?}"), format!("Tensor(i64 [2, 50] = input at {}:{line}: {values})", file!()));
    let (tall, line) = (Tensor::from_vec((0..80u8).collect(), [80, 1]), line!());
    let values = "[[ 0] [ 1] [ 2] ... [77] [78] [79]]";
    assert_eq!(format!("{tall:?}"), format!("Tensor(u8 [80, 1] = input at {}:{line}: {values})", file!()));
}

#[test]
fn mistakes_are_shown_as_such() {
    let (x, line) = (Tensor::zeros([2]).at(5), line!());
    let text = format!("Tensor(error: index at {}:{line}: position 5 is outside axis 0 of size 2, shape [2])", file!());
    assert_eq!(x.to_string(), text);
    assert_eq!(format!("{x:?}"), text);
    assert_eq!((&x + 1).to_string(), text);
    let unbound = Tensor::placeholder(vec![2], DType::F32);
    assert!(unbound.to_string().starts_with("Tensor(error: input at "), "{unbound}");
}
