//! Examples, as in `examples`, of the rules for tensors that are laid side by side, and for parts of them.

/// The name of a rule, a graph, and the graph after it.
pub const PARTS: &[(&str, &str, &str)] = &[
    (
        "a sum of parts laid side by side is one concat",
        "
        %0 = leaf 0 : f32 [2, 2]
        %1 = leaf 1 : f32 [2, 3]
        %2 = pad low [0, 0] high [0, 5] interior [0, 0] %0
        %3 = pad low [0, 3] high [0, 1] interior [0, 0] %1
        %4 = add %3, %2
        return %4",
        "
        %0 = leaf 0 : f32 [2, 2]
        %1 = leaf 1 : f32 [2, 3]
        %2 = constant 0.0 : f32 [2, 1]
        %3 = constant 0.0 : f32 [2, 1]
        %4 = concat axis 1 %0, %2, %1, %3 : f32 [2, 7]
        return %4",
    ),
    (
        "a sum of parts laid side by side is one concat",
        "
        %0 = leaf 0 : f32 [2, 4]
        %1 = leaf 1 : f32 [2, 6]
        %2 = pad low [0, 0] high [0, 2] interior [0, 0] %0
        %3 = add %1, %2
        return %3",
        "
        %0 = leaf 0 : f32 [2, 4]
        %1 = leaf 1 : f32 [2, 6]
        %2 = slice start [0, 0] stop [2, 4] step [1, 1] %1 : f32 [2, 4]
        %3 = add %2, %0 : f32 [2, 4]
        %4 = slice start [0, 4] stop [2, 6] step [1, 1] %1 : f32 [2, 2]
        %5 = concat axis 1 %3, %4 : f32 [2, 6]
        return %5",
    ),
    (
        "a sum of parts laid side by side is one concat",
        "
        %0 = leaf 0 : f32 [3]
        %1 = leaf 1 : f32 [3]
        %2 = pad low [0] high [1] interior [0] %0
        %3 = pad low [1] high [0] interior [0] %1
        %4 = add %2, %3
        return %4",
        "
        %0 = leaf 0 : f32 [3]
        %1 = leaf 1 : f32 [3]
        %2 = slice start [0] stop [1] step [1] %0 : f32 [1]
        %3 = slice start [1] stop [3] step [1] %0 : f32 [2]
        %4 = slice start [0] stop [2] step [1] %1 : f32 [2]
        %5 = add %3, %4 : f32 [2]
        %6 = slice start [2] stop [3] step [1] %1 : f32 [1]
        %7 = concat axis 0 %2, %5, %6 : f32 [4]
        return %7",
    ),
    (
        "a part of a part is one part",
        "
        %0 = leaf 0 : f32 [9, 5]
        %1 = slice start [1, 0] stop [8, 4] step [2, 1] %0
        %2 = slice start [1, 1] stop [4, 4] step [2, 2] %1
        return %2",
        "
        %0 = leaf 0 : f32 [9, 5]
        %1 = slice start [3, 1] stop [8, 4] step [4, 2] %0 : f32 [2, 2]
        return %1",
    ),
    (
        "a part of what is laid side by side is a part of one of them",
        "
        %0 = leaf 0 : f32 [2, 3]
        %1 = leaf 1 : f32 [2, 4]
        %2 = concat axis 1 %0, %1
        %3 = slice start [0, 4] stop [1, 7] step [1, 2] %2
        %4 = slice start [0, 2] stop [2, 4] step [1, 1] %2
        %5 = pad low [0, 2] high [0, 1] interior [0, 0] %0
        %6 = slice start [0, 2] stop [2, 4] step [1, 1] %5
        %7 = slice start [1, 0] stop [2, 2] step [1, 1] %5
        return %3, %4, %6, %7",
        "
        %0 = leaf 0 : f32 [2, 3]
        %1 = leaf 1 : f32 [2, 4]
        %2 = concat axis 1 %0, %1 : f32 [2, 7]
        %3 = slice start [0, 1] stop [1, 4] step [1, 2] %1 : f32 [1, 2]
        %4 = slice start [0, 2] stop [2, 4] step [1, 1] %2 : f32 [2, 2]
        %5 = slice start [0, 0] stop [2, 2] step [1, 1] %0 : f32 [2, 2]
        %6 = constant 0.0 : f32 [1, 2]
        return %3, %4, %5, %6",
    ),
    (
        "neighbouring parts of a tensor are one part of it",
        "
        %0 = leaf 0 : f32 [2, 9]
        %1 = slice start [0, 1] stop [2, 3] step [1, 1] %0
        %2 = slice start [0, 3] stop [2, 4] step [1, 1] %0
        %3 = slice start [0, 4] stop [2, 8] step [1, 1] %0
        %4 = concat axis 1 %1, %2, %3
        %5 = concat axis 1 %1, %3
        %6 = concat axis 0 %1, %1
        return %4, %5, %6",
        "
        %0 = leaf 0 : f32 [2, 9]
        %1 = slice start [0, 1] stop [2, 3] step [1, 1] %0 : f32 [2, 2]
        %2 = slice start [0, 4] stop [2, 8] step [1, 1] %0 : f32 [2, 4]
        %3 = slice start [0, 1] stop [2, 8] step [1, 1] %0 : f32 [2, 7]
        %4 = concat axis 1 %1, %2 : f32 [2, 6]
        %5 = concat axis 0 %1, %1 : f32 [4, 2]
        return %3, %4, %5",
    ),
];
