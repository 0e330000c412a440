//! Why a case is not passed, or not differentiated: every exception, with its reason.

/// Operators that are not recorded, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("test_ai_onnx_ml_label_encoder", "strings are looked up in a table: nothing is recorded that could be differentiated"),
    ("test_regex_full_match", "the regular expressions of one library are no function of tensors"),
    ("test_image_decoder", "a decoder of JPEG, PNG and five more formats of files is no function of tensors"),
    ("test_ai_onnx_ml_tree_ensemble", "a tree is a function of steps: nothing is recorded that could be differentiated"),
];

/// Why a case that was refused with this message is left out on purpose.
pub fn not_applicable(name: &str, message: &str) -> Option<String> {
    if let Some((_, of)) = message.split_once("elements are ") {
        let of = of.split(';').next().unwrap_or_default();
        return Some(format!("elements are {of}, which the engine has not"));
    }
    LEFT_OUT.iter().find(|(part, _)| name.contains(part)).map(|(_, reason)| reason.to_string())
}

/// Why a case fails and is known to.
pub fn expected(name: &str) -> Option<&'static str> {
    let noise = ["test_dft_inverse", "test_dft_inverse_opset19"];
    noise.contains(&name).then_some(
        "where the value is 0, the stored output is the rounding noise of one implementation, up to 2e-7, and must be met within 1e-7",
    )
}

/// Cases whose outputs are drawn at random: sizes and types are compared, values are not.
pub fn is_random(name: &str) -> bool {
    name.starts_with("test_bernoulli") || (name.starts_with("test_training_dropout") && !name.contains("zero_ratio"))
}

/// Inputs that are evaluated while recording, whatever their type: scales and regions of `Resize`, ratios of `Dropout`.
pub fn is_held(name: &str) -> bool {
    ["scales", "roi", "ratio", "r"].contains(&name)
}
