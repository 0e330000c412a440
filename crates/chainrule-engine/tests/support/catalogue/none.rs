//! Public functions without a derivative, and why.

/// A reason, and the functions it holds for.
pub const WITHOUT: &[(&str, &[&str])] = &[
    (
        "a place, a number of elements or an order does not vary smoothly",
        &["argsort", "argsort_descending", "searchsorted", "digitize", "nonzero", "flatnonzero", "argwhere", "histogram"],
    ),
    (
        "a comparison or a question about numbers gives bool",
        &[
            "less",
            "equal",
            "greater",
            "less_equal",
            "greater_equal",
            "not_equal",
            "is_nan",
            "is_inf",
            "is_finite",
            "is_negative",
            "is_close",
            "all_close",
            "any",
            "any_over",
            "any_keep",
            "all",
            "all_over",
            "all_keep",
        ],
    ),
    ("a count is a whole number", &["count_nonzero", "count_nonzero_over", "count_nonzero_keep"]),
    ("bits have no derivative", &["and", "or", "xor", "left_shift", "right_shift"]),
    (
        "how many there are is known when values are, so there is no batch of it; what it finds has its derivative \
         (`arrays/gradients.rs`)",
        &["unique"],
    ),
    ("it cuts the history, which is what it is for", &["detach", "RunningStatistics::after", "RunningStatistics::after_by"]),
    ("a function of the host has a derivative only if `custom_derivative` gives it one", &["host_call"]),
    (
        "it takes no tensor of numbers",
        &[
            "range",
            "logspace",
            "geomspace",
            "eye_of",
            "tri",
            "triangle_positions",
            "fftfreq",
            "rfftfreq",
            "alibi_slopes",
            "alibi_bias",
            "einsum_path",
        ],
    ),
    (
        "it makes options, or holds tensors as they are",
        &[
            "Complex::new",
            "CellWeights::new",
            "RunningStatistics::new",
            "PoolOptions::new",
            "UnfoldOptions::new",
            "Cell::gates",
            "recorded",
        ],
    ),
];
