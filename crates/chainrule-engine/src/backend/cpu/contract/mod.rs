//! Contractions: tiled products of two operands of any strides, with scalar code on each tile.
//!
//! ```text
//! let compiled = placed(|written| CompiledContract::new(&contract, written));   // once
//! for unit in 0..compiled.units() {                      // any order, any thread
//!     unsafe { compiled.run(unit, &buffers, &packed, &mut scratch, &faults) };
//! }
//! ```
//! The products are our own: blocks of a few rows by a few vectors held in registers, reading
//! operands where they lie if their strides suit, else from a packed copy of a part that stays in
//! cache. Windows of a convolution are such strides, so a convolution is packed piece by piece and
//! never laid out in memory as a whole. Nothing is allocated once a scratch has grown.
//!
//! f32 and f64 are computed in their own precision, bf16 and f16 in f32, unless a [`Precision`] says otherwise
//! (`method.rs`): then operands are rounded to bf16 on the way, or go through matrix tiles in bf16 parts. Sums run over `k` in
//! passes of a fixed length, in order, so that the bits depend on shapes, strides and the
//! machine's vector level alone. Infinities and NaN follow the formula; no zero is skipped.
//!
//! Refuses integers, and code after the product that accumulates over rows.

mod along;
mod block;
mod column;
mod cut;
#[cfg(target_arch = "x86_64")]
mod inner;
mod layout;
mod loose;
mod matrix;
mod method;
mod pack;
pub mod panels;
mod pass;
mod plan;
mod plus;
mod reading;
mod side;
mod split;
mod stretch;
mod tile;
mod turn;
mod vector;
mod weave;

use super::fault::FaultCell;
use super::level::Level;
use super::machine::Written;
use super::region::{CompiledRegion, Needs, Scratch};
use crate::compile::kernel::{Contract, Lane};
#[cfg(doc)]
use crate::tensor::Precision;
use layout::Operand;
use matrix::Unit;
use method::Method;
use panels::{Packed, Panels, Sizes, Wanted, places};
use plan::Plan;

/// A contraction made ready to run.
pub struct CompiledContract {
    plan: Plan,
    epilogue: Option<CompiledRegion>,
}

impl CompiledContract {
    /// Chooses tiles, packing and loops for this machine. Machine code of what follows the product is
    /// added to `written` and runs once that is placed.
    ///
    /// # Panics
    /// If the code after the product is not valid; the compiler's verifier refuses such code.
    pub fn new(contract: &Contract, written: &mut Written) -> CompiledContract {
        CompiledContract::at(contract, Level::detect(), Unit::detect(), written)
    }

    /// As [`CompiledContract::new`], for a given level of vector instructions and with or without matrix tiles; the
    /// code after the product keeps the machine's.
    fn at(contract: &Contract, level: Level, unit: Option<&'static Unit>, written: &mut Written) -> CompiledContract {
        let epilogue = contract.epilogue.as_ref().map(|region| CompiledRegion::epilogue(region, written));
        CompiledContract { plan: Plan::new(contract, level, unit), epilogue }
    }

    /// A contraction that is alike (`super::alike`) the one this was made from, made without planning anything again.
    pub fn with_accesses_of(&self, contract: &Contract) -> CompiledContract {
        let epilogue = self.epilogue.as_ref().zip(contract.epilogue.as_ref()).map(|(made, region)| made.with_accesses_of(region));
        CompiledContract { plan: self.plan.with_accesses_of(contract), epilogue }
    }

    /// How many units of work there are; depends on the contraction alone. 0 if the result is empty.
    pub fn units(&self) -> usize {
        self.plan.units
    }

    /// Estimated nanoseconds of all units on one thread.
    pub fn cost(&self) -> f64 {
        self.plan.cost + self.epilogue.as_ref().map_or(0.0, CompiledRegion::cost)
    }

    /// Bytes of the operands that its tiles would share.
    pub fn shareable_bytes(&self) -> usize {
        let sides = self.plan.shareable().into_iter().zip(self.plan.readers()).enumerate();
        let shares = |side: usize, readers: usize| readers > 1 && !self.plan.could_read_in_place(side);
        sides.filter(|&(side, (_, readers))| shares(side, readers)).filter_map(|(_, (panels, _))| Some(panels?.bytes())).sum()
    }

    /// What the scratch must hold, also for the code after the product.
    pub fn needs(&self) -> Needs {
        let code = self.epilogue.as_ref().map(CompiledRegion::needs).unwrap_or_default();
        code.or(Needs::aside(self.plan.scratch.iter().sum()))
    }

    /// Runs one unit. Units write to different memory, so they may run at the same time.
    ///
    /// # Safety
    /// `buffers[id]` is valid for every element that the accesses reach, for reading or for
    /// writing. The result overlaps neither operand; a store of the code after the product
    /// overlaps no operand, and a load of it only if both reach the same elements in the same order.
    pub unsafe fn run(&self, unit: usize, buffers: &[*mut u8], packed: &Packed, scratch: &mut Scratch, faults: &FaultCell) {
        // SAFETY: the caller's.
        unsafe {
            match self.plan.lane {
                Lane::F64 => tile::Run::<f64>::new(&self.plan, self.epilogue.as_ref(), buffers, packed, faults).unit(unit, scratch),
                _ => tile::Run::<f32>::new(&self.plan, self.epilogue.as_ref(), buffers, packed, faults).unit(unit, scratch),
            }
        }
    }
}

/// Products that read the same panels from which these are packed although each could read the operand where it lies:
/// the weights of a recurrent network, say.
const MANY: usize = 4;

/// An operand that several tiles, or several products, read in the same way.
struct Shared {
    operand: Operand,
    panels: Panels,
    wanted: Wanted,
    /// How often it would be packed if nobody shared it.
    times: usize,
    products: usize,
    /// Whether all of these could read it where it lies.
    in_place: bool,
}

impl Shared {
    /// Whether it is packed once for all. What a single tile reads once stays nearer in memory of its own.
    fn lasts(&self) -> bool {
        self.wanted.steady || if self.in_place { self.products >= MANY } else { self.times > 1 }
    }
}

/// Decides which operands of a program's products are packed once for all their tiles, and once for all
/// products that read them in the same way: each product with its wave. Tells what a room for them must
/// hold. `written` says whether a buffer changes between two waves, `steady` whether it is the same in many runs.
pub fn share(
    products: &mut [(usize, &mut CompiledContract)],
    written: impl Fn(usize, usize, usize) -> bool,
    steady: impl Fn(usize) -> bool,
) -> Sizes {
    let mut found: Vec<Shared> = Vec::new();
    let mut readers: Vec<(usize, usize, usize)> = Vec::new();
    for (at, (wave, product)) in products.iter().enumerate() {
        let plan = &product.plan;
        for (side, (operand, panels)) in [&plan.a, &plan.b].into_iter().zip(plan.shareable()).enumerate() {
            let Some(panels) = panels else { continue };
            let buffer = operand.path.buffer;
            let same =
                |other: &Shared| other.operand == *operand && other.panels == *panels && !written(buffer, other.wanted.waves.0, *wave);
            let entry = found.iter().rposition(same).unwrap_or_else(|| {
                let waves = (*wave, *wave);
                let wanted = Wanted { bytes: panels.bytes(), pieces: panels.pieces(), waves, steady: steady(buffer) };
                found.push(Shared { operand: operand.clone(), panels: *panels, wanted, times: 0, products: 0, in_place: true });
                found.len() - 1
            });
            let shared = &mut found[entry];
            shared.wanted.waves.1 = *wave;
            shared.times += plan.readers()[side];
            shared.products += 1;
            shared.in_place &= plan.could_read_in_place(side);
            readers.push((at, side, entry));
        }
    }
    let kept: Vec<usize> = (0..found.len()).filter(|&entry| found[entry].lasts()).collect();
    let (loose, loose_readers) = split_first(products, written, steady);
    let panels = found.into_iter().filter(Shared::lasts).map(|shared| shared.wanted);
    let wanted: Vec<Wanted> = panels.chain(loose).collect();
    let (places, sizes) = places(&wanted);
    for (at, side, entry) in readers {
        if let Ok(kept) = kept.binary_search(&entry) {
            products[at].1.plan.shared[side] = Some(places[kept]);
        }
    }
    for (at, side, entry) in loose_readers {
        products[at].1.plan.loose_at[side] = Some(places[kept.len() + entry]);
    }
    sizes
}

/// The memory of operands that is split in parts before panels are made of it, once for all products that reach the same;
/// and which side of which product reads which.
fn split_first(
    products: &[(usize, &mut CompiledContract)],
    written: impl Fn(usize, usize, usize) -> bool,
    steady: impl Fn(usize) -> bool,
) -> (Vec<Wanted>, Vec<(usize, usize, usize)>) {
    let mut found: Vec<((usize, isize, usize, usize), Wanted)> = Vec::new();
    let mut readers = Vec::new();
    for (at, (wave, product)) in products.iter().enumerate() {
        let plan = &product.plan;
        let Method::Tiles(_, parts) = plan.method else { continue };
        for (side, (operand, loose)) in [&plan.a, &plan.b].into_iter().zip(plan.loose).enumerate() {
            let Some(loose) = loose else { continue };
            let buffer = operand.path.buffer;
            let memory = (buffer, operand.path.offset + loose.first, loose.numbers, parts);
            let same = |(other, wanted): &(_, Wanted)| *other == memory && !written(buffer, wanted.waves.0, *wave);
            let entry = found.iter().rposition(same).unwrap_or_else(|| {
                let (bytes, pieces) = (loose.bytes(parts), loose.pieces());
                found.push((memory, Wanted { bytes, pieces, waves: (*wave, *wave), steady: steady(buffer) }));
                found.len() - 1
            });
            found[entry].1.waves.1 = *wave;
            readers.push((at, side, entry));
        }
    }
    (found.into_iter().map(|(_, wanted)| wanted).collect(), readers)
}

#[cfg(test)]
mod tests;
