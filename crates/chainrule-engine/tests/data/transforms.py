"""Writes transforms.txt: derivatives of a list of functions, computed by JAX in double precision.

    python transforms.py > transforms.txt

Each case lists its inputs, then results, one per line: a word for what it is, a shape such as
2x3 (- for a scalar), the numbers. The functions are written again, in the same order and with
the same names, in transforms/functions.rs.
"""

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(20240607)


def normal(*shape):
    return np.round(rng.normal(size=shape), 3)


def positive(*shape):
    return np.round(rng.uniform(0.3, 2.5, size=shape), 3)


INDEX = jnp.array([2, 0, 2, 1])


def logsumexp(x, axis):
    top = jax.lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True))
    return jnp.log(jnp.sum(jnp.exp(x - top), axis=axis)) + jnp.squeeze(top, axis)


def cross_entropy(logits, target):
    return jnp.sum(logsumexp(logits, 1) - jnp.sum(logits * target, axis=1)) / logits.shape[0]


def normalised(x, gain, shift):
    centred = x - jnp.mean(x, axis=1, keepdims=True)
    scale = jnp.sqrt(jnp.mean(centred * centred, axis=1, keepdims=True) + 1e-5)
    return jnp.sum(jnp.sin(centred / scale * gain + shift))


def attention(q, k, v):
    scores = q @ k.T / jnp.sqrt(2.0)
    weights = jnp.exp(scores - logsumexp(scores, 1)[:, None])
    return jnp.sum((weights @ v) ** 2)


def recurrent(w, u, x):
    h = jnp.zeros(3)
    for t in range(4):
        h = jnp.tanh(w @ h + u @ x[t])
    return jnp.sum(h * h)


def convolved(x, w):
    patches = jnp.stack([x[2 * i : 2 * i + 3] for i in range(4)])
    return jnp.sum(jnp.tanh(patches @ w))


# name, function of its inputs to a scalar, inputs
CASES = [
    ("polynomial", lambda x: jnp.sum(3 * x**3 - 2 * x**2 + x), [normal(4)]),
    ("quartic_form", lambda x, a: (x @ a @ x) ** 2, [normal(3), normal(3, 3)]),
    ("mlp", lambda w, v, x: jnp.sum(jnp.tanh(x @ w) @ v), [normal(3, 4), normal(4, 2), normal(2, 3)]),
    ("cross_entropy", cross_entropy, [normal(3, 4), np.eye(4)[[1, 3, 0]]]),
    ("matmul_chain", lambda a, b, c: jnp.sum(jnp.sin(a @ b @ c)), [normal(2, 3), normal(3, 2), normal(2, 4)]),
    ("logsumexp", lambda x: jnp.sum(logsumexp(x, 1) ** 2), [normal(2, 5) * 3]),
    ("where", lambda x: jnp.sum(jnp.where(x > 0, x * x * x, jnp.exp(x))), [normal(6)]),
    ("gather", lambda x: jnp.sum(x[INDEX] ** 3 * jnp.arange(1.0, 5.0)[:, None]), [normal(3, 2)]),
    ("scatter", lambda x: jnp.sum(jnp.zeros((3, 2)).at[INDEX].add(x) ** 3), [normal(4, 2)]),
    ("cumsum", lambda x: jnp.sum(jnp.sin(jnp.cumsum(x, axis=1))), [normal(2, 4)]),
    ("max", lambda x: jnp.sum(jnp.max(x, axis=1) ** 3), [normal(3, 4)]),
    ("pow", lambda x, y: jnp.sum(x**y), [positive(5), normal(5)]),
    ("normalised", normalised, [normal(2, 5), normal(5), normal(5)]),
    ("rational", lambda y, x: jnp.sum(x / (1 + y * y)), [normal(3), normal(2, 3)]),
    ("logs", lambda x: jnp.sum(jnp.log(x) * jnp.log1p(x) / jnp.sqrt(x)), [positive(5)]),
    ("waves", lambda x: jnp.sum(jnp.sin(x) * jnp.cos(x * x)), [normal(5)]),
    ("sigmoids", lambda x: jnp.sum(jax.nn.sigmoid(x) * jax.nn.softplus(x)), [normal(5) * 2]),
    ("erf", lambda x: jnp.sum(x * 0.5 * (1 + jax.scipy.special.erf(x / jnp.sqrt(2.0)))), [normal(5)]),
    ("expm1", lambda x, y: jnp.sum(jnp.expm1(x[:, None] * y[None, :])), [normal(3), normal(4)]),
    ("minimum", lambda x, y: jnp.sum(jnp.minimum(x, y) ** 2 * jnp.maximum(x, y)), [normal(6), normal(6)]),
    ("attention", attention, [normal(3, 2), normal(4, 2), normal(4, 2)]),
    ("recurrent", recurrent, [normal(3, 3), normal(3, 2), normal(4, 2)]),
    ("convolved", convolved, [normal(9), normal(3, 2)]),
    ("bilinear", lambda x, t, y: jnp.sum(jnp.einsum("bi,ijk,bj->bk", x, t, y) ** 2), [normal(2, 3), normal(3, 2, 2), normal(2, 2)]),
    ("flip_pad_slice", lambda x: jnp.sum(jnp.pad(x[::-1, 1::2], ((1, 0), (0, 2))) ** 3 * jnp.arange(16.0).reshape(4, 4)), [normal(3, 4)]),
    ("transposed", lambda x: jnp.sum(jnp.tanh(x.transpose(2, 0, 1).reshape(4, 6) @ x.reshape(6, 4))), [normal(2, 3, 4) * 0.5]),
]


def line(word, value):
    value = np.asarray(value, dtype=np.float64)
    shape = "x".join(map(str, value.shape)) or "-"
    print(word, shape, *(repr(float(v)) for v in value.ravel()))


def main():
    print("# Computed by transforms.py with JAX", jax.__version__, "in double precision.")
    for name, f, inputs in CASES:
        f = jax.jit(f)
        inputs = [jnp.asarray(x) for x in inputs]
        every = tuple(range(len(inputs)))
        tangents = [jnp.asarray(normal(*x.shape)) for x in inputs]
        x = inputs[0]
        rest = inputs[1:]
        first = lambda x: f(x, *rest)
        print("case", name)
        for value in inputs:
            line("input", value)
        for value in tangents:
            line("tangent", value)
        line("value", f(*inputs))
        for value in jax.grad(f, argnums=every)(*inputs):
            line("grad", value)
        line("jvp", jax.jvp(f, tuple(inputs), tuple(tangents))[1])
        line("hessian", jax.jit(jax.hessian(first))(x))
        for value in jax.jvp(jax.grad(f, argnums=every), tuple(inputs), tuple(tangents))[1]:
            line("hvp", value)
        second = lambda x: jnp.sum(jax.jvp(jax.grad(first), (x,), (tangents[0],))[1] * tangents[0])
        line("third", jax.jit(jax.grad(second))(x))
        line("jacobian", jax.jit(jax.jacobian(lambda x: jnp.sin(jax.grad(first)(x)).ravel()[:3]))(x))
        batch = jnp.stack([x, x * 0.5 + 0.25, tangents[0] * 0.1 + x])
        line("batch", batch)
        line("batched", jax.jit(jax.vmap(jax.grad(first)))(batch))


main()
