//! The text of an einsum and the shapes of its operands, as lists of numbered labels.
//!
//! Refuses to guess: whatever does not fit is an error at the character that says it.

use super::at_character;
use crate::tensor::{Error, ErrorKind, Result};

/// A formula that fits its operands.
pub(super) struct Formula {
    /// Of each operand, the labels of its axes: numbers below that of `sizes`.
    pub operands: Vec<Vec<u8>>,
    /// The labels of the result.
    pub out: Vec<u8>,
    /// The size of each label.
    pub sizes: Vec<usize>,
}

/// The most different labels: each is a bit of a set.
const MOST: usize = 128;

/// One term of the text.
#[derive(Default)]
struct Written {
    /// Letters, and where they stand.
    letters: Vec<(char, usize)>,
    /// How many letters come before `...`, and where it stands.
    rest: Option<(usize, usize)>,
    /// Where the term begins.
    start: usize,
}

impl Formula {
    /// Reads a text for operands of the shapes given.
    pub fn read(text: &str, shapes: &[&[usize]]) -> Result<Formula> {
        let (terms, out) = terms(text)?;
        if terms.len() != shapes.len() {
            let message = format!("\"{text}\" is for {} operands, and there are {}", terms.len(), shapes.len());
            return Err(Error::new(ErrorKind::Argument, "einsum", message));
        }
        if let Some(out) = &out {
            check_result(text, out, &terms)?;
        }
        let mut reader = Reader { text, letters: Vec::new(), sizes: Vec::new() };
        // Labels of the broadcast axes come first: as many as the longest has.
        let broadcast = terms
            .iter()
            .zip(shapes)
            .filter(|(term, _)| term.rest.is_some())
            .map(|(term, shape)| shape.len().saturating_sub(term.letters.len()))
            .max()
            .unwrap_or(0);
        reader.sizes.resize(broadcast, 1);
        let operands = terms.iter().zip(shapes).map(|(term, shape)| reader.operand(term, shape, broadcast)).collect::<Result<Vec<_>>>()?;
        let all = 0..broadcast as u8;
        let out = match out {
            Some(out) => {
                if out.rest.is_none() && broadcast > 0 {
                    return Err(at_character(
                        text,
                        out.start,
                        "the operands have axes for `...`, and the result has none; write it there, too",
                    ));
                }
                let at = out.rest.map_or(0, |(before, _)| before);
                let numbers: Vec<u8> = out.letters.iter().filter_map(|(letter, _)| reader.number(*letter, broadcast)).collect();
                numbers[..at].iter().copied().chain(all).chain(numbers[at..].iter().copied()).collect()
            }
            None => {
                let mut once: Vec<char> = reader.letters.iter().copied().filter(|letter| count(&terms, *letter) == 1).collect();
                once.sort_unstable();
                all.chain(once.into_iter().filter_map(|letter| reader.number(letter, broadcast))).collect()
            }
        };
        Ok(Formula { operands, out, sizes: reader.sizes })
    }
}

fn count(terms: &[Written], letter: char) -> usize {
    terms.iter().flat_map(|term| &term.letters).filter(|(own, _)| *own == letter).count()
}

/// Letters get numbers as they are met.
struct Reader<'a> {
    text: &'a str,
    letters: Vec<char>,
    sizes: Vec<usize>,
}

impl Reader<'_> {
    fn number(&self, letter: char, broadcast: usize) -> Option<u8> {
        self.letters.iter().position(|&own| own == letter).map(|at| (at + broadcast) as u8)
    }

    fn operand(&mut self, term: &Written, shape: &[usize], broadcast: usize) -> Result<Vec<u8>> {
        let written = term.letters.len();
        let covered = shape.len().checked_sub(written).filter(|&left| left == 0 || term.rest.is_some());
        let Some(covered) = covered else {
            return Err(at_character(self.text, term.start, format!("{written} labels for the {} axes of {shape:?}", shape.len())));
        };
        let (before, place) = term.rest.unwrap_or((written, term.start));
        let mut labels = Vec::with_capacity(shape.len());
        for (axis, &size) in shape.iter().enumerate() {
            if (before..before + covered).contains(&axis) {
                let label = broadcast - covered + axis - before;
                self.sized(label, size, place, "an axis of `...`")?;
                labels.push(label as u8);
                continue;
            }
            let (letter, at) = term.letters[if axis < before { axis } else { axis - covered }];
            let label = match self.number(letter, broadcast) {
                Some(label) => label as usize,
                None if self.sizes.len() >= MOST => return Err(at_character(self.text, at, format!("more than {MOST} different labels"))),
                None => {
                    self.letters.push(letter);
                    self.sizes.push(1);
                    self.sizes.len() - 1
                }
            };
            self.sized(label, size, at, "the axis")?;
            labels.push(label as u8);
        }
        Ok(labels)
    }

    /// Notes the size of a label. A size of 1 goes with any.
    fn sized(&mut self, label: usize, size: usize, at: usize, what: &str) -> Result<()> {
        match self.sizes[label] {
            known if known == size || size == 1 => Ok(()),
            1 => {
                self.sizes[label] = size;
                Ok(())
            }
            known => Err(at_character(self.text, at, format!("{what} is {size} here, and {known} before"))),
        }
    }
}

/// Each label of a result stands there once, and in an operand.
fn check_result(text: &str, out: &Written, terms: &[Written]) -> Result<()> {
    for (i, &(letter, at)) in out.letters.iter().enumerate() {
        if out.letters[..i].iter().any(|&(other, _)| other == letter) {
            return Err(at_character(text, at, "twice in the result"));
        }
        if count(terms, letter) == 0 {
            return Err(at_character(text, at, "in the result, but in no operand"));
        }
    }
    Ok(())
}

/// The terms of a text, and the result, if it is written.
fn terms(text: &str) -> Result<(Vec<Written>, Option<Written>)> {
    let characters: Vec<char> = text.chars().collect();
    let (mut terms, mut arrow) = (vec![Written::default()], false);
    let mut at = 0;
    while at < characters.len() {
        let found = terms.len() - 1;
        let term = &mut terms[found];
        match characters[at] {
            ' ' => (),
            ',' if arrow => return Err(at_character(text, at, "one result, behind the arrow")),
            ',' => terms.push(Written { start: at + 1, ..Written::default() }),
            '-' if arrow => return Err(at_character(text, at, "a second arrow")),
            '-' if characters.get(at + 1) == Some(&'>') => {
                at += 1;
                arrow = true;
                terms.push(Written { start: at + 1, ..Written::default() });
            }
            '-' => return Err(at_character(text, at, "an arrow is `->`")),
            '.' if characters[at..].starts_with(&['.', '.', '.']) => {
                if term.rest.is_some() {
                    return Err(at_character(text, at, "`...` twice in one term"));
                }
                term.rest = Some((term.letters.len(), at));
                at += 2;
            }
            '.' => return Err(at_character(text, at, "axes that are left over are `...`")),
            letter if letter.is_alphabetic() => term.letters.push((letter, at)),
            _ => return Err(at_character(text, at, "no label; labels are letters")),
        }
        at += 1;
    }
    let out = if arrow { terms.pop() } else { None };
    Ok((terms, out))
}
