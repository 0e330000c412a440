//! Two small data sets made up on the spot, for which a straight line between classes is not enough.

use chainrule::Rng;

use super::dataset::{Dataset, Part, Targets, Task};

/// How many points a toy data set has; a fifth of them is for the test.
const POINTS: usize = 1000;

/// Points around the four corners of a square; those of opposite corners are one class.
pub fn xor(seed: u64) -> Dataset {
    let mut random = Rng::new(seed);
    let points = (0..POINTS).map(|at| {
        let (right, up) = (at % 2 == 1, at / 2 % 2 == 1);
        let corner = |side: bool| if side { 1.0 } else { -1.0 };
        let place = [right, up].map(|side| corner(side) + 0.3 * normal(&mut random));
        (place, usize::from(right != up))
    });
    let points: Vec<Point> = points.collect();
    toy("xor", "points around the corners of a square, opposite corners alike", points, ["same", "different"], &mut random)
}

/// Points along two arms that wind around each other.
pub fn spiral(seed: u64) -> Dataset {
    let mut random = Rng::new(seed);
    let points = (0..POINTS).map(|at| {
        let arm = at % 2;
        // From the centre outwards, one turn and a half.
        let along = (0.5 + (at / 2) as f64) / (POINTS / 2) as f64;
        let angle = std::f64::consts::PI * (3.0 * along + arm as f64);
        let place = [angle.cos(), angle.sin()].map(|side| 2.0 * along * side + 0.03 * normal(&mut random));
        (place, arm)
    });
    let points: Vec<Point> = points.collect();
    toy("spiral", "points on two arms that wind around each other", points, ["first", "second"], &mut random)
}

type Point = ([f64; 2], usize);

fn toy(name: &str, about: &str, points: Vec<Point>, classes: [&str; 2], random: &mut Rng) -> Dataset {
    let order = shuffled(points.len(), random);
    let (test, train) = order.split_at(points.len() / 5);
    let part = |rows: &[usize]| Part {
        features: rows.iter().flat_map(|&row| points[row].0).map(|value| value as f32).collect(),
        targets: Targets::Classes(rows.iter().map(|&row| points[row].1).collect()),
    };
    Dataset {
        name: name.into(),
        about: format!("{} {about}", points.len()),
        width: 2,
        train: part(train),
        test: part(test),
        task: Task::Classes(classes.map(String::from).to_vec()),
        scaling: None,
    }
}

/// The numbers `0..count` in a random order (Fisher and Yates).
pub fn shuffled(count: usize, random: &mut Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for end in (1..count).rev() {
        let other = (u128::from(random.next_u64()) * (end as u128 + 1)) >> 64;
        order.swap(end, other as usize);
    }
    order
}

/// A standard normal number (Box and Muller, 1958).
fn normal(random: &mut Rng) -> f64 {
    let mut uniform = || ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let radius = (-2.0 * uniform().ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toys_are_balanced_and_a_function_of_the_seed() {
        for make in [xor, spiral] {
            let data = make(3);
            assert_eq!(data, make(3));
            assert_ne!(data.fingerprint(), make(4).fingerprint());
            let Targets::Classes(labels) = &data.train.targets else { panic!() };
            let ones = labels.iter().sum::<usize>() as f64 / labels.len() as f64;
            assert!((ones - 0.5).abs() < 0.1, "{ones}");
            assert_eq!((labels.len(), data.test.targets.len()), (800, 200));
            assert_eq!(data.train.features.len(), 1600);
        }
    }

    #[test]
    fn a_shuffle_keeps_every_number() {
        for count in [0, 1, 2, 17] {
            let mut order = shuffled(count, &mut Rng::new(1));
            order.sort_unstable();
            assert_eq!(order, (0..count).collect::<Vec<_>>());
        }
    }
}
