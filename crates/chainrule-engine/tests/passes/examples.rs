//! For each rule of the table, graphs to which it applies and what they become by that rule alone. Rules of tensors that are
//! laid side by side are in `parts`, of reductions over middle axes in `reductions`.

/// The name of a rule, a graph, and the graph after it.
pub const EXAMPLES: &[(&str, &str, &str)] = &[
    (
        "an alias is its value",
        "
        %0 = leaf 0 : f32 [2]
        %1 = detach %0
        %2 = exp %1
        %3 = custom clipped levels 0 %2, %0
        %4 = sin %3
        return %4",
        "
        %0 = leaf 0 : f32 [2]
        %1 = exp %0 : f32 [2]
        %2 = sin %1 : f32 [2]
        return %2",
    ),
    (
        "what has no element is a constant",
        "
        %0 = leaf 0 : f32 [3, 2]
        %1 = exp %0
        %2 = slice start [1, 0] stop [1, 2] step [1, 1] %1
        %3 = concat axis 0 %2, %0
        return %3",
        "
        %0 = leaf 0 : f32 [3, 2]
        %1 = constant 0.0 : f32 [0, 2]
        %2 = concat axis 0 %1, %0 : f32 [3, 2]
        return %2",
    ),
    (
        "a movement that moves nothing is its input",
        "
        %0 = leaf 0 : f32 [3, 1]
        %1 = permute [0, 1] %0
        %2 = reshape %1 : f32 [3, 1]
        %3 = slice start [0, 0] stop [3, 1] step [1, 1] %2
        %4 = pad low [0, 0] high [0, 0] interior [0, 2] %3
        %5 = reverse [1] %4
        %6 = broadcast axes [] sizes [] %5
        %7 = sum [] %6
        %8 = window axes [] sizes [] strides [] dilations [] %7
        %9 = cast %8 : f32 [3, 1]
        %10 = concat axis 0 %9
        %11 = exp %10
        return %11",
        "
        %0 = leaf 0 : f32 [3, 1]
        %1 = exp %0 : f32 [3, 1]
        return %1",
    ),
    (
        "a reduction of nothing is zero",
        "
        %0 = leaf 0 : f32 [0, 3]
        %1 = sum [0] %0
        %2 = leaf 1 : f32 [0, 2]
        %3 = einsum ki,kj->ij %0, %2
        %4 = pad low [1, 0] high [1, 0] interior [0, 0] %0
        return %1, %3, %4",
        "
        %0 = constant 0.0 : f32 [3]
        %1 = constant 0.0 : f32 [3, 2]
        %2 = constant 0.0 : f32 [2, 3]
        return %0, %1, %2",
    ),
    (
        "a reduction over axes of one element is a reshape",
        "
        %0 = leaf 0 : f32 [1, 3, 1, 4]
        %1 = sum [0, 2, 3] %0
        %2 = max [0, 2] %0
        return %1, %2",
        "
        %0 = leaf 0 : f32 [1, 3, 1, 4]
        %1 = reshape %0 : f32 [3, 4]
        %2 = sum [1] %1 : f32 [3]
        %3 = reshape %0 : f32 [3, 4]
        %4 = max [] %3 : f32 [3, 4]
        return %2, %4",
    ),
    (
        "coordinates are those of a vector, repeated",
        "
        %0 = iota 1 : i64 [2, 3, 4]
        return %0",
        "
        %0 = iota 0 : i64 [3]
        %1 = broadcast axes [0, 2] sizes [2, 4] %0 : i64 [2, 3, 4]
        return %1",
    ),
    (
        "reshape of reshape is one reshape",
        "
        %0 = leaf 0 : f32 [2, 6]
        %1 = reshape %0 : f32 [12]
        %2 = reshape %1 : f32 [3, 4]
        return %2",
        "
        %0 = leaf 0 : f32 [2, 6]
        %1 = reshape %0 : f32 [3, 4]
        return %1",
    ),
    (
        "permute of permute is one permute",
        "
        %0 = leaf 0 : f32 [2, 3, 4]
        %1 = permute [1, 2, 0] %0
        %2 = permute [0, 2, 1] %1
        return %2",
        "
        %0 = leaf 0 : f32 [2, 3, 4]
        %1 = permute [1, 0, 2] %0 : f32 [3, 2, 4]
        return %1",
    ),
    (
        "a moved constant is a constant",
        "
        %0 = constant 2.5 : f32 [3]
        %1 = broadcast axes [0] sizes [4] %0
        %2 = slice start [0, 1] stop [4, 3] step [2, 1] %1
        return %2",
        "
        %0 = constant 2.5 : f32 [2, 2]
        return %0",
    ),
    (
        "arithmetic of constants is a constant",
        "
        %0 = constant 2.0 : f32 [3]
        %1 = constant 3.0 : f32 [3]
        %2 = div %0, %1
        %3 = neg %2
        %4 = sqrt %0
        %5 = cast %4 : f64 [3]
        return %3, %5",
        "
        %0 = constant -0.6666666865348816 : f32 [3]
        %1 = constant 1.4142135381698608 : f64 [3]
        return %0, %1",
    ),
    (
        "x * 1, x / 1, x - 0, scale(1, x) are x",
        "
        %0 = leaf 0 : f32 [3]
        %1 = constant 1.0 : f32 [3]
        %2 = constant 0.0 : f32 [3]
        %3 = mul %0, %1
        %4 = mul %1, %3
        %5 = div %4, %1
        %6 = sub %5, %2
        %7 = scale %1, %6
        %8 = exp %7
        return %8",
        "
        %0 = leaf 0 : f32 [3]
        %1 = exp %0 : f32 [3]
        return %1",
    ),
    (
        "-(x * c) and (-x) * c are x * (-c)",
        "
        %0 = leaf 0 : f32 [3]
        %1 = constant 2.5 : f32 [3]
        %2 = mul %0, %1
        %3 = neg %2
        %4 = neg %0
        %5 = mul %4, %1
        %6 = add %3, %5
        return %6",
        "
        %0 = leaf 0 : f32 [3]
        %1 = constant -2.5 : f32 [3]
        %2 = mul %0, %1 : f32 [3]
        %3 = constant -2.5 : f32 [3]
        %4 = mul %0, %3 : f32 [3]
        %5 = add %2, %4 : f32 [3]
        return %5",
    ),
    (
        "-(-x) and not not x are x",
        "
        %0 = leaf 0 : f32 [3]
        %1 = neg %0
        %2 = neg %1
        %3 = leaf 1 : bool [3]
        %4 = not %3
        %5 = not %4
        %6 = select %5, %2, %1
        return %6",
        "
        %0 = leaf 0 : f32 [3]
        %1 = neg %0 : f32 [3]
        %2 = leaf 1 : bool [3]
        %3 = select %2, %0, %1 : f32 [3]
        return %3",
    ),
    (
        "select with equal branches, or of a constant, is a branch",
        "
        %0 = leaf 0 : bool [3]
        %1 = leaf 1 : f32 [3]
        %2 = leaf 2 : f32 [3]
        %3 = constant 0 : bool [3]
        %4 = constant 1 : bool [3]
        %5 = select %0, %1, %1
        %6 = select %3, %1, %2
        %7 = select %4, %6, %5
        %8 = exp %7
        return %8",
        "
        %0 = leaf 2 : f32 [3]
        %1 = exp %0 : f32 [3]
        return %1",
    ),
    (
        "what is repeated is multiplied once",
        "
        %0 = leaf 0 : f32 [3]
        %1 = leaf 1 : f32 [3, 2]
        %2 = broadcast axes [0] sizes [4] %0
        %3 = einsum mk,kn->mn %2, %1
        %4 = leaf 2 : f32 [4, 2]
        %5 = einsum mk,mn->kn %2, %4
        return %3, %5",
        "
        %0 = leaf 0 : f32 [3]
        %1 = leaf 1 : f32 [3, 2]
        %2 = broadcast axes [0] sizes [4] %0 : f32 [4, 3]
        %3 = broadcast axes [] sizes [] %0 : f32 [3]
        %4 = einsum k,kn->n %3, %1 : f32 [2]
        %5 = broadcast axes [0] sizes [4] %4 : f32 [4, 2]
        %6 = leaf 2 : f32 [4, 2]
        %7 = einsum mk,mn->kn %2, %6 : f32 [3, 2]
        return %5, %7",
    ),
    (
        "what is repeated is multiplied once",
        "
        %0 = leaf 0 : f32 [2, 3]
        %1 = leaf 1 : f32 [3]
        %2 = broadcast axes [1] sizes [5] %0
        %3 = broadcast axes [0, 2] sizes [2, 4] %1
        %4 = einsum bmk,bkn->nbm %2, %3
        return %4",
        "
        %0 = leaf 0 : f32 [2, 3]
        %1 = leaf 1 : f32 [3]
        %2 = broadcast axes [] sizes [] %0 : f32 [2, 3]
        %3 = broadcast axes [0] sizes [2] %1 : f32 [2, 3]
        %4 = einsum bk,bk->b %2, %3 : f32 [2]
        %5 = broadcast axes [0, 2] sizes [4, 5] %4 : f32 [4, 2, 5]
        return %5",
    ),
    (
        "a product that sums nothing is a multiplication",
        "
        %0 = leaf 0 : f32 [2]
        %1 = leaf 1 : f32 [3]
        %2 = einsum i,j->ji %0, %1
        return %2",
        "
        %0 = leaf 0 : f32 [2]
        %1 = leaf 1 : f32 [3]
        %2 = permute [0] %0 : f32 [2]
        %3 = broadcast axes [0] sizes [3] %2 : f32 [3, 2]
        %4 = permute [0] %1 : f32 [3]
        %5 = broadcast axes [1] sizes [2] %4 : f32 [3, 2]
        %6 = mul %3, %5 : f32 [3, 2]
        return %6",
    ),
    (
        "a product that sums nothing is a multiplication",
        "
        %0 = leaf 0 : f32 [4, 3]
        %1 = leaf 1 : f32 [3, 4]
        %2 = einsum ik,ki->i %0, %1
        return %2",
        "
        %0 = leaf 0 : f32 [4, 3]
        %1 = leaf 1 : f32 [3, 4]
        %2 = permute [0, 1] %0 : f32 [4, 3]
        %3 = broadcast axes [] sizes [] %2 : f32 [4, 3]
        %4 = permute [1, 0] %1 : f32 [4, 3]
        %5 = broadcast axes [] sizes [] %4 : f32 [4, 3]
        %6 = mul %3, %5 : f32 [4, 3]
        %7 = sum [1] %6 : f32 [4]
        return %7",
    ),
    (
        "a product that sums nothing is a multiplication",
        "
        %0 = leaf 0 : f16 [3]
        %1 = leaf 1 : f16 [3]
        %2 = einsum i,i-> %0, %1
        return %2",
        "
        %0 = leaf 0 : f16 [3]
        %1 = leaf 1 : f16 [3]
        %2 = cast %0 : f32 [3]
        %3 = cast %1 : f32 [3]
        %4 = permute [0] %2 : f32 [3]
        %5 = broadcast axes [] sizes [] %4 : f32 [3]
        %6 = permute [0] %3 : f32 [3]
        %7 = broadcast axes [] sizes [] %6 : f32 [3]
        %8 = mul %5, %7 : f32 [3]
        %9 = sum [0] %8 : f32 []
        %10 = cast %9 : f16 []
        return %10",
    ),
    (
        "a product that sums nothing is a multiplication",
        "
        %0 = leaf 0 : i32 [4, 3]
        %1 = leaf 1 : i32 [3, 5]
        %2 = einsum ik,kj->ij %0, %1
        return %2",
        "
        %0 = leaf 0 : i32 [4, 3]
        %1 = leaf 1 : i32 [3, 5]
        %2 = permute [0, 1] %0 : i32 [4, 3]
        %3 = broadcast axes [1] sizes [5] %2 : i32 [4, 5, 3]
        %4 = permute [1, 0] %1 : i32 [5, 3]
        %5 = broadcast axes [0] sizes [4] %4 : i32 [4, 5, 3]
        %6 = mul %3, %5 : i32 [4, 5, 3]
        %7 = sum [2] %6 : i32 [4, 5]
        return %7",
    ),
    (
        "a product that sums nothing is a multiplication",
        "
        %0 = leaf 0 : f32 [4, 1]
        %1 = leaf 1 : f32 [1, 5]
        %2 = einsum ik,kj->ij %0, %1
        return %2",
        "
        %0 = leaf 0 : f32 [4, 1]
        %1 = leaf 1 : f32 [1, 5]
        %2 = permute [0, 1] %0 : f32 [4, 1]
        %3 = broadcast axes [1] sizes [5] %2 : f32 [4, 5, 1]
        %4 = permute [1, 0] %1 : f32 [5, 1]
        %5 = broadcast axes [0] sizes [4] %4 : f32 [4, 5, 1]
        %6 = mul %3, %5 : f32 [4, 5, 1]
        %7 = sum [2] %6 : f32 [4, 5]
        return %7",
    ),
    (
        "a long sum is a sum of sums",
        "
        %0 = leaf 0 : f32 [2, 16384]
        %1 = sum [1] %0
        return %1",
        "
        %0 = leaf 0 : f32 [2, 16384]
        %1 = reshape %0 : f32 [2, 4, 4096]
        %2 = sum [2] %1 : f32 [2, 4]
        %3 = sum [1] %2 : f32 [2]
        return %3",
    ),
    (
        "a long sum is a sum of sums",
        "
        %0 = leaf 0 : f16 [2, 16384]
        %1 = sum [1] %0
        return %1",
        "
        %0 = leaf 0 : f16 [2, 16384]
        %1 = cast %0 : f32 [2, 16384]
        %2 = reshape %1 : f32 [2, 4, 4096]
        %3 = sum [2] %2 : f32 [2, 4]
        %4 = sum [1] %3 : f32 [2]
        %5 = cast %4 : f16 [2]
        return %5",
    ),
    (
        "a running sum is over the last axis",
        "
        %0 = leaf 0 : f32 [2, 3, 4]
        %1 = cumulative_sum axis 0 reverse %0
        return %1",
        "
        %0 = leaf 0 : f32 [2, 3, 4]
        %1 = permute [1, 2, 0] %0 : f32 [3, 4, 2]
        %2 = cumulative_sum axis 2 reverse %1 : f32 [3, 4, 2]
        %3 = permute [2, 0, 1] %2 : f32 [2, 3, 4]
        return %3",
    ),
    (
        "windows that tile an axis are a reshape",
        "
        %0 = leaf 0 : f32 [2, 6, 4]
        %1 = window axes [1, 2] sizes [3, 2] strides [3, 2] dilations [1, 1] %0
        %2 = exp %1
        %3 = fold axes [1, 2] sizes [3, 2] strides [3, 2] dilations [1, 1] lengths [6, 4] %2
        return %1, %3",
        "
        %0 = leaf 0 : f32 [2, 6, 4]
        %1 = reshape %0 : f32 [2, 2, 3, 2, 2]
        %2 = permute [0, 1, 3, 2, 4] %1 : f32 [2, 2, 2, 3, 2]
        %3 = exp %2 : f32 [2, 2, 2, 3, 2]
        %4 = permute [0, 1, 3, 2, 4] %3 : f32 [2, 2, 3, 2, 2]
        %5 = reshape %4 : f32 [2, 6, 4]
        return %2, %5",
    ),
];
