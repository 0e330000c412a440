//! Operations on single elements: one row of a table each.
//!
//! Shapes must be equal here; broadcasting is done where a user's call is recorded.

use super::linear::Application;
use super::{Array, Derivative, Lift, LinearMap, Op, Operation, Values, dtype_error, shape_error};
pub use crate::compile::kernel::{Binary, Unary};
use crate::tensor::{DType, Error, Tensor, Type};

/// Everything there is to know of a function of one operand.
pub struct UnaryRow {
    /// Which function.
    pub op: Unary,
    /// Its name.
    pub name: &'static str,
    /// What it computes, in words or a formula in `x`.
    pub doc: &'static str,
    /// Which element types it takes.
    pub takes: Takes,
    /// Its value on floats.
    pub evaluate: fn(f64) -> f64,
    /// Its derivative, given operand `x` and result `y`.
    pub derivative: fn(&Tensor, &Tensor) -> Derivative,
}

/// Everything there is to know of a function of two operands.
pub struct BinaryRow {
    /// Which function.
    pub op: Binary,
    /// Its name.
    pub name: &'static str,
    /// What it computes, in words or a formula in `a` and `b`.
    pub doc: &'static str,
    /// Which element types it takes.
    pub takes: Takes,
    /// Its value on floats.
    pub evaluate: fn(f64, f64) -> f64,
    /// Its value on integers.
    pub integer: fn(i64, i64) -> i64,
    /// Its derivatives by each operand, given operands `a`, `b` and result `y`.
    pub derivative: [fn(&Tensor, &Tensor, &Tensor) -> Derivative; 2],
}

/// Which element types an elementwise operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// f32, f64, bf16, f16.
    Floats,
    /// All but bool.
    Numbers,
    /// Only bool.
    Booleans,
    /// i64, i32, u8.
    Integers,
    /// Integers and bool.
    Bits,
    /// Any; the result is bool.
    Any,
}

impl Takes {
    /// Whether an operand of this type is taken.
    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            Takes::Floats => dtype.is_float(),
            Takes::Numbers => dtype != DType::Bool,
            Takes::Booleans => dtype == DType::Bool,
            Takes::Integers => !dtype.is_float() && dtype != DType::Bool,
            Takes::Bits => !dtype.is_float(),
            Takes::Any => true,
        }
    }
}

fn scale(factor: Tensor) -> Derivative {
    LinearMap::scale(factor).into()
}

/// The functions of one operand, in the order of [`Unary`].
pub static UNARY: &[UnaryRow] = &[
    UnaryRow {
        op: Unary::Negate,
        name: "neg",
        doc: "-x",
        takes: Takes::Numbers,
        evaluate: |x| -x,
        derivative: |_, _| LinearMap::negate().into(),
    },
    UnaryRow { op: Unary::Exp, name: "exp", doc: "e^x", takes: Takes::Floats, evaluate: f64::exp, derivative: |_, y| scale(y.clone()) },
    UnaryRow {
        op: Unary::Log,
        name: "log",
        doc: "natural logarithm",
        takes: Takes::Floats,
        evaluate: f64::ln,
        derivative: |x, _| scale(x.recip()),
    },
    UnaryRow {
        op: Unary::Log1p,
        name: "log1p",
        doc: "log(1 + x), accurate near 0",
        takes: Takes::Floats,
        evaluate: f64::ln_1p,
        derivative: |x: &Tensor, _| scale((x + 1.0).recip()),
    },
    UnaryRow {
        op: Unary::Expm1,
        name: "expm1",
        doc: "e^x - 1, accurate near 0",
        takes: Takes::Floats,
        evaluate: f64::exp_m1,
        derivative: |x, _| scale(x.exp()),
    },
    UnaryRow {
        op: Unary::Sqrt,
        name: "sqrt",
        doc: "square root; its derivative at 0 is infinite",
        takes: Takes::Floats,
        evaluate: f64::sqrt,
        derivative: |_, y| scale(0.5 / y),
    },
    UnaryRow {
        op: Unary::Sin,
        name: "sin",
        doc: "sine of radians",
        takes: Takes::Floats,
        evaluate: f64::sin,
        derivative: |x, _| scale(x.cos()),
    },
    UnaryRow {
        op: Unary::Cos,
        name: "cos",
        doc: "cosine of radians",
        takes: Takes::Floats,
        evaluate: f64::cos,
        derivative: |x, _| scale(-x.sin()),
    },
    UnaryRow {
        // 1 - y^2 loses every digit once y rounds to 1; sech^2(x) keeps them all, in every order.
        op: Unary::Tanh,
        name: "tanh",
        doc: "hyperbolic tangent",
        takes: Takes::Floats,
        evaluate: f64::tanh,
        derivative: |x, _| scale(x.sech().square()),
    },
    UnaryRow {
        op: Unary::Sech,
        name: "sech",
        doc: "hyperbolic secant, 2 / (e^x + e^-x)",
        takes: Takes::Floats,
        evaluate: |x| 1.0 / x.cosh(),
        derivative: |x, y| scale(-(y * x.tanh())),
    },
    UnaryRow {
        op: Unary::Sigmoid,
        name: "sigmoid",
        doc: "1 / (1 + e^-x)",
        takes: Takes::Floats,
        evaluate: |x| if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) },
        derivative: |x, y| scale(y * (-x).sigmoid()),
    },
    UnaryRow {
        op: Unary::Softplus,
        name: "softplus",
        doc: "log(1 + e^x)",
        takes: Takes::Floats,
        evaluate: |x| if x.is_nan() { x } else { x.max(0.0) + (-x.abs()).exp().ln_1p() },
        derivative: |x, _| scale(x.sigmoid()),
    },
    UnaryRow {
        op: Unary::Erf,
        name: "erf",
        doc: "error function, 2/sqrt(pi) times the integral of e^-t^2 from 0 to x",
        takes: Takes::Floats,
        evaluate: libm::erf,
        derivative: |x, _| scale((-(x * x)).exp() * std::f64::consts::FRAC_2_SQRT_PI),
    },
    UnaryRow {
        op: Unary::Atan,
        name: "atan",
        doc: "inverse tangent, between -pi/2 and pi/2",
        takes: Takes::Floats,
        evaluate: f64::atan,
        derivative: |x, _| scale((x * x + 1.0).recip()),
    },
    UnaryRow {
        op: Unary::Floor,
        name: "floor",
        doc: "the integer at or below; its derivative is declared zero",
        takes: Takes::Floats,
        evaluate: f64::floor,
        derivative: |_, _| Derivative::Zero,
    },
    UnaryRow {
        op: Unary::Not,
        name: "not",
        doc: "logical not",
        takes: Takes::Booleans,
        evaluate: |_| f64::NAN,
        derivative: |_, _| Derivative::Cut("a bool has no derivative"),
    },
];

const COMPARED: fn(&Tensor, &Tensor, &Tensor) -> Derivative = |_, _, _| Derivative::Cut("a comparison gives bool, which has no derivative");
const BITS: fn(&Tensor, &Tensor, &Tensor) -> Derivative = |_, _, _| Derivative::Cut("bits have no derivative");
const NOT_INTEGER: fn(i64, i64) -> i64 = |_, _| 0;
const NO_FLOAT: fn(f64, f64) -> f64 = |_, _| f64::NAN;

/// The weight of the first operand of a minimum or maximum: 1 where it is chosen, 1/2 at a tie.
fn chosen(a_wins: Tensor, a: &Tensor, b: &Tensor) -> Derivative {
    let half = Tensor::full(a.shape(), 0.5, a.dtype());
    scale(a.equal(b).select(&half, &a_wins.cast(a.dtype())))
}

/// The functions of two operands, in the order of [`Binary`].
pub static BINARY: &[BinaryRow] = &[
    BinaryRow {
        op: Binary::Add,
        name: "add",
        doc: "a + b",
        takes: Takes::Numbers,
        evaluate: |a, b| a + b,
        integer: i64::wrapping_add,
        derivative: [|_, _, _| LinearMap::identity().into(), |_, _, _| LinearMap::identity().into()],
    },
    BinaryRow {
        op: Binary::Subtract,
        name: "sub",
        doc: "a - b",
        takes: Takes::Numbers,
        evaluate: |a, b| a - b,
        integer: i64::wrapping_sub,
        derivative: [|_, _, _| LinearMap::identity().into(), |_, _, _| LinearMap::negate().into()],
    },
    BinaryRow {
        op: Binary::Multiply,
        name: "mul",
        doc: "a * b",
        takes: Takes::Numbers,
        evaluate: |a, b| a * b,
        integer: i64::wrapping_mul,
        derivative: [|_, b, _| scale(b.clone()), |a, _, _| scale(a.clone())],
    },
    BinaryRow {
        op: Binary::Divide,
        name: "div",
        doc: "a / b; integers truncate toward zero, and give 0 by zero",
        takes: Takes::Numbers,
        evaluate: |a, b| a / b,
        integer: |a, b| if b == 0 { 0 } else { a.wrapping_div(b) },
        derivative: [|_, b, _| scale(b.recip()), |_, b, y| scale(-(y / b))],
    },
    BinaryRow {
        // At a = 0, b = 0 the factor b * a^(b-1) is 0 * inf; `scale` makes that the 0 it should be.
        op: Binary::Power,
        name: "pow",
        doc: "a^b, as IEEE 754 defines it; the derivative by b at a = 0 is declared zero",
        takes: Takes::Floats,
        evaluate: f64::powf,
        integer: NOT_INTEGER,
        derivative: [
            |a, b, _| scale(b.scale(&a.pow(&(b - 1.0)))),
            |a, _, y| scale(a.equal(&a.zeros_like()).select(&a.zeros_like(), &y.scale(&a.log()))),
        ],
    },
    BinaryRow {
        op: Binary::Minimum,
        name: "minimum",
        doc: "the smaller; NaN if either is; a tie shares the derivative equally",
        takes: Takes::Numbers,
        evaluate: |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) },
        integer: |a, b| a.min(b),
        derivative: [|a, b, _| chosen(a.less(b), a, b), |a, b, _| chosen(b.less(a), b, a)],
    },
    BinaryRow {
        op: Binary::Maximum,
        name: "maximum",
        doc: "the larger; NaN if either is; a tie shares the derivative equally",
        takes: Takes::Numbers,
        evaluate: |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) },
        integer: |a, b| a.max(b),
        derivative: [|a, b, _| chosen(b.less(a), a, b), |a, b, _| chosen(a.less(b), b, a)],
    },
    BinaryRow {
        op: Binary::Remainder,
        name: "remainder",
        doc: "a - b * floor(a / b), the sign of b; integers give 0 by zero",
        takes: Takes::Numbers,
        evaluate: |a, b| a - b * (a / b).floor(),
        integer: |a, b| {
            if b == 0 {
                0
            } else {
                let r = a.wrapping_rem(b);
                if r != 0 && (r < 0) != (b < 0) { r + b } else { r }
            }
        },
        derivative: [|_, _, _| LinearMap::identity().into(), |a, b, _| scale(-(a / b).floor())],
    },
    BinaryRow {
        op: Binary::Scale,
        name: "scale",
        doc: "a * b, but exactly 0 where a is 0, whatever b is",
        takes: Takes::Floats,
        evaluate: |a, b| if a == 0.0 { 0.0 } else { a * b },
        integer: NOT_INTEGER,
        // Linear in b, with this same zero: where a is 0, an infinite tangent of b has no influence.
        derivative: [
            |_, b, _| scale(b.clone()),
            |a, _, _| {
                let product = || Application::with(Binary::Scale, [Some(a.clone()), None]);
                LinearMap::pair(product(), product()).into()
            },
        ],
    },
    BinaryRow {
        op: Binary::Less,
        name: "less",
        doc: "a < b",
        takes: Takes::Any,
        evaluate: |a, b| (a < b) as u8 as f64,
        integer: |a, b| (a < b) as i64,
        derivative: [COMPARED, COMPARED],
    },
    BinaryRow {
        op: Binary::Equal,
        name: "equal",
        doc: "a = b",
        takes: Takes::Any,
        evaluate: |a, b| (a == b) as u8 as f64,
        integer: |a, b| (a == b) as i64,
        derivative: [COMPARED, COMPARED],
    },
    BinaryRow {
        op: Binary::And,
        name: "and",
        doc: "both; of integers bit by bit",
        takes: Takes::Bits,
        evaluate: NO_FLOAT,
        integer: |a, b| a & b,
        derivative: [BITS, BITS],
    },
    BinaryRow {
        op: Binary::Or,
        name: "or",
        doc: "either; of integers bit by bit",
        takes: Takes::Bits,
        evaluate: NO_FLOAT,
        integer: |a, b| a | b,
        derivative: [BITS, BITS],
    },
    BinaryRow {
        op: Binary::ShiftLeft,
        name: "shift_left",
        doc: "a times 2^b by its bits; what is shifted out is lost, and by all bits or more, or by less than none, everything",
        takes: Takes::Integers,
        evaluate: NO_FLOAT,
        integer: |a, b| if (0..64).contains(&b) { a << b } else { 0 },
        derivative: [BITS, BITS],
    },
    BinaryRow {
        op: Binary::ShiftRight,
        name: "shift_right",
        doc: "a / 2^b rounded down, the sign repeated; by all bits or more, or by less than none, only the sign is left",
        takes: Takes::Integers,
        evaluate: NO_FLOAT,
        integer: |a, b| a >> if (0..64).contains(&b) { b } else { 63 },
        derivative: [BITS, BITS],
    },
];

/// The row of a function of one operand; `None` of a rounding, which is a step of the compiler.
pub fn unary_row(op: Unary) -> Option<&'static UnaryRow> {
    UNARY.get(op as usize)
}

/// The row of a function of two operands.
pub fn binary_row(op: Binary) -> &'static BinaryRow {
    let row = &BINARY[op as usize];
    debug_assert_eq!(row.op, op);
    row
}

fn refuse(name: &str, takes: Takes, dtype: DType) -> Error {
    let wanted = match takes {
        Takes::Floats => "floats",
        Takes::Numbers => "numbers",
        Takes::Booleans => "bool",
        Takes::Integers => "integers",
        Takes::Bits => "integers or bool",
        Takes::Any => "any type",
    };
    dtype_error(name, format!("takes {wanted}, not {dtype}; convert with `cast`"))
}

pub(super) fn equal_shapes(name: &str, inputs: &[&Type]) -> Result<(), Error> {
    match inputs.iter().find(|ty| ty.shape != inputs[0].shape) {
        Some(other) => Err(shape_error(name, format!("shapes {:?} and {:?} differ", inputs[0].shape, other.shape))),
        None => Ok(()),
    }
}

const NOT_RECORDED: Derivative = Derivative::Cut("a rounding is recorded as `cast`, which has one");

impl Operation for Unary {
    fn name(&self) -> &'static str {
        unary_row(*self).map_or("round", |row| row.name)
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let Some(row) = unary_row(*self) else {
            return Err(dtype_error(self.name(), "rounding to a narrow type is recorded as `cast`".into()));
        };
        if row.takes.accepts(inputs[0].dtype) { Ok(inputs[0].clone()) } else { Err(refuse(row.name, row.takes, inputs[0].dtype)) }
    }
    fn derivative(&self, node: &Tensor, _: usize) -> Derivative {
        unary_row(*self).map_or(NOT_RECORDED, |row| (row.derivative)(&node.inputs()[0], node))
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Op::Unary(*self))
    }
    fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
        match &inputs[0].values {
            Values::Float(values) => Values::Float(values.iter().map(|&x| unary_row(*self).map_or(x, |row| (row.evaluate)(x))).collect()),
            Values::Integer(values) if *self == Unary::Not => Values::Integer(values.iter().map(|&x| (x == 0) as i64).collect()),
            Values::Integer(values) => Values::Integer(values.iter().map(|&x| x.wrapping_neg()).collect()),
        }
    }
}

impl Operation for Binary {
    fn name(&self) -> &'static str {
        binary_row(*self).name
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let row = binary_row(*self);
        equal_shapes(row.name, inputs)?;
        let (a, b) = (inputs[0].dtype, inputs[1].dtype);
        if a != b {
            return Err(dtype_error(row.name, format!("{a} with {b}; convert one of them with `cast`")));
        }
        if !row.takes.accepts(a) {
            return Err(refuse(row.name, row.takes, a));
        }
        let dtype = if row.takes == Takes::Any { DType::Bool } else { a };
        Ok(Type { shape: inputs[0].shape.clone(), dtype })
    }
    fn derivative(&self, node: &Tensor, input: usize) -> Derivative {
        (binary_row(*self).derivative[input])(&node.inputs()[0], &node.inputs()[1], node)
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Op::Binary(*self))
    }
    fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
        let row = binary_row(*self);
        match (&inputs[0].values, &inputs[1].values) {
            (Values::Integer(a), Values::Integer(b)) => Values::Integer(a.iter().zip(b).map(|(&a, &b)| (row.integer)(a, b)).collect()),
            _ => Values::Float(inputs[0].floats().iter().zip(inputs[1].floats()).map(|(&a, b)| (row.evaluate)(a, b)).collect()),
        }
    }
}
