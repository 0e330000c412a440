//! Regions under construction for tests: memory for every access, and the comparison with the oracle.

use super::super::fault::{FaultCell, Found};
use super::super::level::Level;
use super::super::machine::placed;
use super::oracle::{evaluate, same};
use super::{CompiledRegion, Scratch};
use crate::compile::kernel::{Access, Code, Extent, Fault, Instruction, Lane, Region};
use crate::tensor::DType;
use crate::tensor::random::word;

/// A stream of choices.
pub struct Dice(pub i64, pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.1 += 1;
        ((word(self.0, self.1) >> 33) as usize) % sides
    }

    /// One of some items.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.roll(items.len())]
    }
}

/// A region under construction, with the memory it touches.
pub struct Draft {
    pub region: Region,
    pub buffers: Vec<Vec<u8>>,
    dtypes: Vec<DType>,
}

impl Draft {
    pub fn new(axes: &[usize], row_axes: usize) -> Draft {
        let region =
            Region { axes: axes.iter().copied().collect(), row_axes, loads: vec![], stores: vec![], code: vec![], unit_rows: None };
        Draft { region, buffers: vec![], dtypes: vec![] }
    }

    pub fn push(&mut self, code: Code, lane: Lane, extent: Extent) -> u32 {
        self.region.code.push(Instruction { code, lane, extent });
        self.region.code.len() as u32 - 1
    }

    pub fn lane(&self, value: u32) -> Lane {
        self.region.code[value as usize].lane
    }

    pub fn extent(&self, value: u32) -> Extent {
        self.region.code[value as usize].extent
    }

    /// A buffer that fits the strides, and the access that reaches all of it.
    pub fn access(&mut self, dice: &mut Dice, dtype: DType, strides: &[isize], sizes: &[usize]) -> Access {
        let reach = |sign: isize| -> isize {
            let far = sizes.iter().zip(strides).map(|(&n, &s)| (n.max(1) - 1) as isize * s);
            far.filter(|&far| far * sign > 0).sum()
        };
        let offset = -reach(-1) + dice.roll(3) as isize;
        let len = (offset + reach(1) + 1) as usize + dice.roll(3);
        self.buffers.push((0..len).flat_map(|_| element(dice, dtype)).collect());
        self.dtypes.push(dtype);
        Access { buffer: self.buffers.len() as u32 - 1, dtype, offset, strides: strides.iter().copied().collect() }
    }

    /// Strides in which no two points share an element, in any order and direction.
    pub fn strides(&self, dice: &mut Dice, sizes: &[usize]) -> Vec<isize> {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        if dice.roll(3) == 0 {
            for i in (1..order.len()).rev() {
                order.swap(i, dice.roll(i + 1));
            }
        }
        let mut strides = vec![0; sizes.len()];
        let mut next = if dice.roll(6) == 0 { 2 } else { 1 };
        for &axis in order.iter().rev() {
            strides[axis] = if dice.roll(8) == 0 { -next } else { next };
            next *= sizes[axis].max(1) as isize;
            next += if dice.roll(6) == 0 { 3 } else { 0 };
        }
        strides
    }

    pub fn run(&self, level: Level, backwards: bool) -> (Vec<Vec<u8>>, Option<Fault>) {
        self.run_on(&placed(|written| CompiledRegion::at(&self.region, level, written)), backwards)
    }

    /// The same with what was made of another region, in which every access has a buffer of its own and starts elsewhere.
    fn run_alike(&self, level: Level, backwards: bool) -> (Vec<Vec<u8>>, Option<Fault>) {
        let mut apart = self.region.clone();
        for (i, access) in apart.loads.iter_mut().chain(&mut apart.stores).enumerate() {
            (access.buffer, access.offset) = (100 + i as u32, 1000 * i as isize);
        }
        let model = placed(|written| CompiledRegion::at(&apart, level, written));
        self.run_on(&model.with_accesses_of(&self.region), backwards)
    }

    /// The memory after all units, together or one by one from the last on, and the first fault.
    pub fn run_on(&self, compiled: &CompiledRegion, backwards: bool) -> (Vec<Vec<u8>>, Option<Fault>) {
        let mut memory = self.buffers.clone();
        let pointers: Vec<*mut u8> = memory.iter_mut().map(|buffer| buffer.as_mut_ptr()).collect();
        let (mut scratch, faults) = (Scratch::new(), FaultCell::new());
        let units = compiled.units();
        match backwards {
            true => (0..units).rev().for_each(|unit| unsafe { compiled.run(unit..unit + 1, &pointers, &mut scratch, &faults) }),
            false => unsafe { compiled.run(0..units, &pointers, &mut scratch, &faults) },
        }
        (memory, faults.take().and_then(Found::index))
    }

    pub fn check(&self, context: &str) {
        for level in Level::available() {
            let expected = evaluate(&self.region, &self.buffers, level);
            for backwards in [false, true] {
                let (memory, fault) = self.run(level, backwards);
                for (i, (found, wanted)) in memory.iter().zip(&expected).enumerate() {
                    assert!(same(self.dtypes[i], found, wanted), "{context}, {level:?}, buffer {i}: {:#?}", self.region);
                }
                let alike = self.run_alike(level, backwards);
                assert!(alike == (memory, fault), "{context}, {level:?}: made of another region: {:#?}", self.region);
            }
        }
    }
}

/// The bytes of a number, now and then a special one.
fn element(dice: &mut Dice, dtype: DType) -> Vec<u8> {
    let small = dice.roll(4001) as f64 / 500.0 - 4.0;
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e-40, 3e38];
    let x = if dice.roll(40) == 0 { dice.pick(&special) } else { small };
    let n = if dice.roll(20) == 0 { dice.pick(&[i64::MIN, i64::MAX, 0]) } else { dice.roll(21) as i64 - 10 };
    match dtype {
        DType::F32 => (x as f32).to_ne_bytes().into(),
        DType::F64 => x.to_ne_bytes().into(),
        DType::BF16 => half::bf16::from_f64(x).to_ne_bytes().into(),
        DType::F16 => half::f16::from_f64(x).to_ne_bytes().into(),
        DType::I64 => n.to_ne_bytes().into(),
        DType::I32 => (n as i32).to_ne_bytes().into(),
        DType::U8 => vec![n as u8],
        DType::Bool => vec![(n & 1) as u8],
    }
}
