//! Examples, as in `examples`, of reductions over middle axes, and of such as are written out.

/// The name of a rule, a graph, and the graph after it.
pub const REDUCTIONS: &[(&str, &str, &str)] = &[
    (
        "a reduction over middle axes is one over last or first axes",
        "
        %0 = leaf 0 : f32 [2, 3, 4]
        %1 = sum [0, 2] %0
        %2 = max [1] %0
        return %1, %2",
        "
        %0 = leaf 0 : f32 [2, 3, 4]
        %1 = sum [2] %0 : f32 [2, 3]
        %2 = sum [0] %1 : f32 [3]
        %3 = slice start [0, 0, 0] stop [2, 1, 4] step [1, 1, 1] %0 : f32 [2, 1, 4]
        %4 = reshape %3 : f32 [2, 4]
        %5 = slice start [0, 1, 0] stop [2, 2, 4] step [1, 1, 1] %0 : f32 [2, 1, 4]
        %6 = reshape %5 : f32 [2, 4]
        %7 = maximum %4, %6 : f32 [2, 4]
        %8 = slice start [0, 2, 0] stop [2, 3, 4] step [1, 1, 1] %0 : f32 [2, 1, 4]
        %9 = reshape %8 : f32 [2, 4]
        %10 = maximum %7, %9 : f32 [2, 4]
        return %2, %10",
    ),
    (
        "a reduction over middle axes is one over last or first axes",
        "
        %0 = leaf 0 : f32 [2, 40, 4]
        %1 = sum [1] %0
        return %1",
        "
        %0 = leaf 0 : f32 [2, 40, 4]
        %1 = permute [0, 2, 1] %0 : f32 [2, 4, 40]
        %2 = sum [2] %1 : f32 [2, 4]
        return %2",
    ),
    // What is true is found anew at each place from what was compared, not sliced.
    (
        "a reduction over middle axes is one over last or first axes",
        "
        %0 = leaf 0 : f32 [2, 2, 4]
        %1 = leaf 1 : f32 [2, 4]
        %2 = broadcast axes [1] sizes [2] %1
        %3 = equal %0, %2
        %4 = cast %3 : f32 [2, 2, 4]
        %5 = sum [1] %4
        return %5",
        "
        %0 = leaf 0 : f32 [2, 2, 4]
        %1 = leaf 1 : f32 [2, 4]
        %2 = broadcast axes [1] sizes [2] %1 : f32 [2, 2, 4]
        %3 = slice start [0, 0, 0] stop [2, 1, 4] step [1, 1, 1] %0 : f32 [2, 1, 4]
        %4 = reshape %3 : f32 [2, 4]
        %5 = slice start [0, 0, 0] stop [2, 1, 4] step [1, 1, 1] %2 : f32 [2, 1, 4]
        %6 = reshape %5 : f32 [2, 4]
        %7 = equal %4, %6 : bool [2, 4]
        %8 = cast %7 : f32 [2, 4]
        %9 = slice start [0, 1, 0] stop [2, 2, 4] step [1, 1, 1] %0 : f32 [2, 1, 4]
        %10 = reshape %9 : f32 [2, 4]
        %11 = slice start [0, 1, 0] stop [2, 2, 4] step [1, 1, 1] %2 : f32 [2, 1, 4]
        %12 = reshape %11 : f32 [2, 4]
        %13 = equal %10, %12 : bool [2, 4]
        %14 = cast %13 : f32 [2, 4]
        %15 = add %8, %14 : f32 [2, 4]
        return %15",
    ),
    // Numbers are sliced as they are.
    (
        "a reduction over middle axes is one over last or first axes",
        "
        %0 = leaf 0 : i64 [2, 2, 4]
        %1 = cast %0 : f32 [2, 2, 4]
        %2 = sum [1] %1
        return %2",
        "
        %0 = leaf 0 : i64 [2, 2, 4]
        %1 = cast %0 : f32 [2, 2, 4]
        %2 = slice start [0, 0, 0] stop [2, 1, 4] step [1, 1, 1] %1 : f32 [2, 1, 4]
        %3 = reshape %2 : f32 [2, 4]
        %4 = slice start [0, 1, 0] stop [2, 2, 4] step [1, 1, 1] %1 : f32 [2, 1, 4]
        %5 = reshape %4 : f32 [2, 4]
        %6 = add %3, %5 : f32 [2, 4]
        return %6",
    ),
    (
        "a reduction over middle axes is one over last or first axes",
        "
        %0 = leaf 0 : bf16 [2, 3, 4]
        %1 = sum [0, 2] %0
        return %1",
        "
        %0 = leaf 0 : bf16 [2, 3, 4]
        %1 = cast %0 : f32 [2, 3, 4]
        %2 = sum [2] %1 : f32 [2, 3]
        %3 = sum [0] %2 : f32 [3]
        %4 = cast %3 : bf16 [3]
        return %4",
    ),
    // Windows side by side in images with channels first: the longest axis stays the inner one.
    (
        "a reduction over middle axes is one over last or first axes",
        "
        %0 = leaf 0 : f32 [2, 5, 2]
        %1 = max [0, 2] %0
        return %1",
        "
        %0 = leaf 0 : f32 [2, 5, 2]
        %1 = slice start [0, 0, 0] stop [1, 5, 1] step [1, 1, 1] %0 : f32 [1, 5, 1]
        %2 = reshape %1 : f32 [5]
        %3 = slice start [0, 0, 1] stop [1, 5, 2] step [1, 1, 1] %0 : f32 [1, 5, 1]
        %4 = reshape %3 : f32 [5]
        %5 = maximum %2, %4 : f32 [5]
        %6 = slice start [1, 0, 0] stop [2, 5, 1] step [1, 1, 1] %0 : f32 [1, 5, 1]
        %7 = reshape %6 : f32 [5]
        %8 = maximum %5, %7 : f32 [5]
        %9 = slice start [1, 0, 1] stop [2, 5, 2] step [1, 1, 1] %0 : f32 [1, 5, 1]
        %10 = reshape %9 : f32 [5]
        %11 = maximum %8, %10 : f32 [5]
        return %11",
    ),
    // Windows that overlap: rows of them would be read from afar, element by element.
    (
        "a reduction over middle axes is one over last or first axes",
        "
        %0 = leaf 0 : f32 [7]
        %1 = window axes [0] sizes [2] strides [2] dilations [1] %0
        %2 = sum [1] %1
        return %2",
        "
        %0 = leaf 0 : f32 [7]
        %1 = window axes [0] sizes [2] strides [2] dilations [1] %0 : f32 [3, 2]
        %2 = slice start [0, 0] stop [3, 1] step [1, 1] %1 : f32 [3, 1]
        %3 = reshape %2 : f32 [3]
        %4 = slice start [0, 1] stop [3, 2] step [1, 1] %1 : f32 [3, 1]
        %5 = reshape %4 : f32 [3]
        %6 = add %3, %5 : f32 [3]
        return %6",
    ),
];
