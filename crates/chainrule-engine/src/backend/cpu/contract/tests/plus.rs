//! Code that only adds what lies in memory: blocks do it, at every level, with the bits of the code.

use super::super::super::region::path;
use super::*;

/// An addend of a product of `m` by `n`: the strides of its elements, and how many there are.
fn addend(draw: &mut Draw, m: usize, n: usize) -> (Axes<isize>, usize) {
    match draw.below(3) {
        0 => ([0, 1].as_slice().into(), n),
        1 => ([n as isize, 1].as_slice().into(), m * n),
        _ => ([(n + 5) as isize, 1].as_slice().into(), m * (n + 5)),
    }
}

/// Code that adds values in memory to a product, each from a buffer of its own after the result's.
fn adding(c: &Contract, addends: &[Axes<isize>], draw: &mut Draw) -> Region {
    let (m, n) = (c.m[0], c.n[0]);
    let lane = Lane::of(c.a.dtype);
    let instruction = |code| Instruction { code, lane, extent: Extent::Full };
    let mut code = vec![instruction(Code::Load(0))];
    let mut loads = vec![c.out.clone()];
    let mut sum = 0;
    for strides in addends {
        let (buffer, load) = (2 + loads.len() as u32, code.len() as u32);
        code.push(instruction(Code::Load(loads.len())));
        let (a, b) = if draw.below(2) == 0 { (sum, load) } else { (load, sum) };
        code.push(instruction(Code::Binary(Binary::Add, a, b)));
        sum = load + 1;
        loads.push(Access { buffer, dtype: c.a.dtype, offset: 0, strides: strides.clone() });
    }
    code.push(instruction(Code::Store(0, sum)));
    Region { axes: [m, n].as_slice().into(), row_axes: 1, loads, stores: vec![c.out.clone()], code, unit_rows: None }
}

/// Sums of one and two addends, of every kind of rows, over one and several passes, with blocks that are not whole.
#[test]
fn blocks_add_what_code_only_adds() {
    let mut draw = Draw(41);
    for m in [3, 6, 40, 96] {
        for n in [17, 64, 150] {
            for k in [5, 130, 400] {
                let dtype = draw.of(&[DType::F32, DType::F32, DType::F64]);
                let mut c = matrices(dtype, m, n, k, draw.below(4));
                let mut memories = filled(&c, [m * k, k * n, m * n], &mut draw);
                let addends: Vec<(Axes<isize>, usize)> = (0..1 + draw.below(2)).map(|_| addend(&mut draw, m, n)).collect();
                memories.extend(addends.iter().map(|&(_, len)| Memory::new(dtype, (0..len).map(|_| draw.number() / 3.0))));
                let product = c.clone();
                let strides: Vec<Axes<isize>> = addends.into_iter().map(|(strides, _)| strides).collect();
                c.epilogue = Some(adding(&c, &strides, &mut draw));
                for level in Level::available() {
                    let [mut alone, got] = [&product, &c].map(|c| {
                        let compiled = made(|written| CompiledContract::at(c, level, None, written));
                        assert_eq!(compiled.compiled.plan.additions.is_some(), c.epilogue.is_some(), "{level:?} {m} x {n} x {k}");
                        let mut got = memories.clone();
                        run(&compiled, &mut got, 0..compiled.compiled.units());
                        got
                    });
                    let added = alone[2].clone();
                    let sums = (0..m * n).map(|i| {
                        strides.iter().zip(&memories[3..]).fold(added.get(i as isize), |sum, (strides, addend)| {
                            let more = addend.get((i / n) as isize * strides[0] + (i % n) as isize * strides[1]);
                            if dtype == DType::F64 { sum + more } else { (sum as f32 + more as f32).into() }
                        })
                    });
                    // Bit by bit; and nothing else is written.
                    alone[2] = Memory::new(dtype, sums);
                    assert!(got == alone, "{level:?} {m} x {n} x {k}");
                    check_with(&product, &memories, &naive(&product, &memories), &added);
                }
            }
        }
    }
}

/// A sum may replace an addend element by element, over several passes too: then it is code that adds.
#[test]
fn sums_may_take_the_place_of_what_is_added() {
    let mut draw = Draw(43);
    for k in [20, 500] {
        let (m, n) = (50, 70);
        let mut c = matrices(DType::F32, m, n, k, 0);
        let memories = filled(&c, [m * k, k * n, m * n], &mut draw);
        let accumulated = Contract { accumulate: true, ..c.clone() };
        let results = naive(&accumulated, &memories);
        let mut region = adding(&c, &[[n as isize, 1].as_slice().into()], &mut draw);
        region.loads[1].buffer = 2;
        c.epilogue = Some(region);
        for level in Level::available() {
            let compiled = made(|written| CompiledContract::at(&c, level, None, written));
            let mut got = memories.clone();
            run(&compiled, &mut got, 0..compiled.compiled.units());
            check_with(&c, &memories, &results, &got[2]);
        }
    }
}

/// What blocks cannot add runs on tiles: other code, other places, other types.
#[test]
fn other_code_runs_on_tiles() {
    let mut draw = Draw(47);
    let full: Axes<isize> = [64, 1].as_slice().into();
    let additions = |change: &dyn Fn(&mut Contract, &mut Region)| {
        let mut c = matrices(DType::F32, 40, 64, 30, 0);
        let mut region = adding(&c, std::slice::from_ref(&full), &mut Draw(1));
        change(&mut c, &mut region);
        c.epilogue = Some(region);
        let compiled = placed(|written| CompiledContract::at(&c, Level::Portable, None, written));
        compiled.plan.additions.is_some()
    };
    assert!(additions(&|_, _| ()));
    assert!(!additions(&|_, region| region.code[2].code = Code::Binary(Binary::Multiply, 0, 1)), "a product");
    assert!(!additions(&|_, region| region.code[2].code = Code::Binary(Binary::Add, 1, 1)), "of something else");
    assert!(!additions(&|_, region| region.code[1].code = Code::Load(0)), "the product twice");
    assert!(!additions(&|_, region| region.code[3].code = Code::Store(0, 1)), "what is added alone");
    assert!(!additions(&|_, region| region.loads[1].dtype = DType::BF16), "another type");
    assert!(!additions(&|c, _| c.k = [0].as_slice().into()), "no sum");
    let three = |c: &mut Contract, region: &mut Region| *region = adding(c, &[full.clone(), full.clone(), full.clone()], &mut Draw(1));
    assert!(!additions(&three), "three addends");
    // Columns that do not lie side by side, and rows that are not evenly spaced, are found where the tile is.
    let c = matrices(DType::F32, 40, 64, 30, 0);
    let mut region = adding(&c, &[[1, 40].as_slice().into()], &mut draw);
    let turned = super::super::plus::Additions::of(&region, Lane::F32).unwrap();
    let mut memory = vec![0_f32; 2 * 40 * 64];
    let mut buffers = vec![memory.as_mut_ptr().cast::<u8>(); 4];
    buffers[3] = memory[40 * 64..].as_mut_ptr().cast();
    assert!(turned.placed::<f32>(&buffers, (0, 40), (0, 64)).is_none());
    region.loads[1].strides = [64, 1].as_slice().into();
    let plain = super::super::plus::Additions::of(&region, Lane::F32).unwrap();
    let placed = plain.placed::<f32>(&buffers, (3, 10), (16, 48)).unwrap();
    let first = memory.as_ptr().wrapping_add(3 * 64 + 16);
    let added = first.wrapping_add(40 * 64);
    assert_eq!((placed.to.first.cast_const(), placed.plus[0].map(|plus| (plus.first, plus.row))), (first, Some((added, 64))));
    assert!(placed.plus[1].is_none());
    // What the result takes the place of, or a part of it.
    for overlap in [0, 10] {
        buffers[3] = memory[overlap..].as_mut_ptr().cast();
        assert!(plain.placed::<f32>(&buffers, (3, 10), (16, 48)).is_none());
    }
    assert!(path::span(&[(2, 256), (20, 4)].into_iter().collect(), 15, 10).is_none(), "rows of two runs");
}

/// What is made of a product that is alike reads and writes where its own accesses say.
#[test]
fn a_product_alike_adds_its_own_addends() {
    let mut draw = Draw(53);
    let (m, n, k) = (10, 20, 30);
    let mut model = matrices(DType::F32, m, n, k, 0);
    model.epilogue = Some(adding(&model, &[[n as isize, 1].as_slice().into()], &mut draw));
    let mut own = model.clone();
    let region = own.epilogue.as_mut().unwrap();
    (region.loads[1].buffer, region.loads[1].offset, region.stores[0].offset) = (4, 7, 3);
    let mut memories = filled(&own, [m * k, k * n, m * n + 3], &mut draw);
    memories.extend([1, m * n + 7].map(|len| Memory::new(DType::F32, (0..len).map(|_| draw.number()))));
    let made = made(|written| CompiledContract::at(&model, Level::detect(), None, written).with_accesses_of(&own));
    let mut got = memories.clone();
    run(&made, &mut got, 0..made.compiled.units());
    for (at, sum, _) in naive(&own, &memories) {
        let want = sum + memories[4].get(at + 7);
        assert!((got[2].get(at + 3) - want).abs() < 1e-4, "at {at}");
    }
}
