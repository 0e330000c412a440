//! Curves of every size, style and kind of value.

use super::*;

fn curve(values: &[f64]) -> Curve<'_> {
    Curve { title: "loss", unit: "step", values, width: 40, height: 8, scale: Scale::Detect, style: Style::Ascii }
}

/// The drawing area alone: for each line, its cells after the axis.
fn cells(picture: &str, height: usize) -> Vec<Vec<char>> {
    let after_axis = |line: &str| {
        let start = line.find(['|', '+', '│', '┤']).unwrap();
        line[start..].chars().skip(1).collect()
    };
    picture.lines().skip(1).take(height).map(after_axis).collect()
}

#[test]
fn a_falling_line_is_drawn_as_one() {
    let values: Vec<f64> = (0..34).map(|i| 33.0 - f64::from(i)).collect();
    let picture = Curve { height: 5, ..curve(&values) }.draw();
    let expected = "\
loss
  33 +*****
     |     ********
16.5 +             ********
     |                     ********
   0 +                             *****
     +----------------------------------
      step 1                          34
";
    assert_eq!(picture, expected);
}

/// In both styles and at many sizes, each value is found where it belongs: the curve is
/// monotone, unbroken, touches both corners and stays inside its frame.
#[test]
fn every_size_and_length_keeps_the_shape() {
    for style in [Style::Ascii, Style::Braille] {
        for (width, height) in [(24, 3), (40, 8), (77, 20), (0, 0), (9999, 9999)] {
            for count in [2, 3, 10, 79, 80, 1000] {
                let values: Vec<f64> = (0..count).map(f64::from).collect();
                let picture = Curve { width, height, style, ..curve(&values) }.draw();
                let height = height.clamp(3, 100);
                assert_eq!(picture.lines().count(), height + 3);
                let width = width.clamp(24, 400);
                assert!(picture.lines().all(|line| line.chars().count() <= width));
                let cells = cells(&picture, height);
                let first_used = |line: &Vec<char>| line.iter().position(|&c| c != ' ');
                let starts: Vec<usize> = cells.iter().map(|l| first_used(l).unwrap()).collect();
                assert!(starts.is_sorted_by(|a, b| a >= b), "{picture}");
                assert_eq!(starts[height - 1], 0, "{picture}");
                let widest = cells.iter().map(Vec::len).max().unwrap();
                assert_eq!(cells[0].len(), widest, "{picture}");
                for (upper, lower) in cells.iter().zip(&cells[1..]) {
                    assert!(first_used(upper).unwrap() <= lower.len(), "gap\n{picture}");
                }
            }
        }
    }
}

#[test]
fn a_wide_range_is_logarithmic() {
    let values: Vec<f64> = (0..40).map(|i| 10f64.powf(-f64::from(i) / 8.0)).collect();
    let picture = curve(&values).draw();
    assert!(picture.starts_with("loss (logarithmic scale)\n"), "{picture}");
    // Equal factors are equal steps: the same picture as a straight line.
    let line: Vec<f64> = (0..40).map(|i| -f64::from(i)).collect();
    let straight = Curve { width: 40, ..curve(&line) }.draw();
    let used = |picture: &str| -> Vec<usize> {
        let count = |line: &Vec<char>| line.iter().filter(|&&c| c == '*').count();
        cells(picture, 8).iter().map(count).collect()
    };
    let difference = |(a, b): (&usize, &usize)| a.abs_diff(*b);
    assert!(used(&picture).iter().zip(&used(&straight)).map(difference).all(|d| d <= 1));
    for (scale, values) in
        [(Scale::Linear, &[1.0, 1e9][..]), (Scale::Detect, &[1.0, 100.0]), (Scale::Logarithmic, &[0.0, 1e9]), (Scale::Detect, &[-1.0, 1e9])]
    {
        assert!(!Curve { scale, ..curve(values) }.draw().contains("logarithmic"));
    }
    let narrow = Curve { scale: Scale::Logarithmic, ..curve(&[1.0, 2.0]) };
    assert!(narrow.draw().contains("logarithmic"));
}

#[test]
fn one_value_and_constants_lie_in_the_middle() {
    for values in [&[0.25][..], &[0.25; 7], &[0.0; 3], &[-4.0; 2], &[1e-310; 2], &[f64::MAX; 2]] {
        for scale in [Scale::Detect, Scale::Linear, Scale::Logarithmic] {
            let picture = Curve { height: 7, scale, ..curve(values) }.draw();
            let cells = cells(&picture, 7);
            let used = |line: &[char]| line.contains(&'*');
            assert!(used(&cells[3]) || values[0] == f64::MAX, "{picture}");
            assert_eq!(cells.iter().filter(|line| used(line)).count(), 1, "{picture}");
        }
    }
}

#[test]
fn values_that_are_not_finite_leave_gaps_and_a_note() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let picture = curve(&[1.0, nan, 0.0, inf, -inf, 1.0]).draw();
    assert!(picture.ends_with("3 of 6 values not finite and not drawn; the first is nan at step 2\n"), "{picture}");
    let stars = picture.chars().filter(|&c| c == '*').count();
    assert_eq!(stars, 3, "{picture}");
    assert!(curve(&[]).draw().contains("no value was recorded"));
    assert!(curve(&[nan]).draw().contains("only value is not finite"));
    assert!(curve(&[nan, inf]).draw().contains("none of the 2 values"));
}

#[test]
fn extreme_values_never_panic() {
    let extremes = [0.0, -0.0, 1.0, -1.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, f64::NAN];
    for a in extremes {
        for b in extremes {
            for c in extremes {
                for scale in [Scale::Detect, Scale::Linear, Scale::Logarithmic] {
                    Curve { scale, ..curve(&[a, b, c]) }.draw();
                }
            }
        }
    }
}

/// A peak of one value among many must not be lost between columns.
#[test]
fn a_single_peak_stays_visible() {
    let mut values = vec![0.0; 100_000];
    values[77_777] = 1.0;
    for style in [Style::Ascii, Style::Braille] {
        let picture = Curve { style, ..curve(&values) }.draw();
        assert!(cells(&picture, 8).iter().all(|line| line.iter().any(|&c| c != ' ')));
    }
}

#[test]
fn steep_lines_have_no_gaps() {
    for values in [[0.0, 1.0], [1.0, 0.0]] {
        for style in [Style::Ascii, Style::Braille] {
            let steep = Curve { width: 24, height: 100, style, ..curve(&values) };
            let cells = cells(&steep.draw(), 100);
            assert!(cells.iter().all(|line| line.iter().any(|&c| c != ' ')));
        }
    }
}
