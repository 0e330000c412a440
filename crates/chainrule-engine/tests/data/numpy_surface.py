"""Writes what NumPy 2 makes of random indices and how it prints random arrays, for tests/surface.

Run: python numpy_surface.py   (writes numpy_indexing.txt and numpy_text.txt beside itself)
"""
import itertools
import pathlib
import random

import numpy as np

HERE = pathlib.Path(__file__).parent
dice = random.Random(20240607)


def random_index(size):
    kind = dice.random()
    if kind < 0.3 and size > 0:
        return dice.randrange(-size, size)
    if kind < 0.45:
        return slice(None)
    step = dice.choice([None, 1, 1, 2, 3, -1, -1, -2, -3, 7, -7])
    bounds = [dice.randint(-1, size + 2), dice.randint(-1, size + 2)]
    if dice.random() < 0.85:
        # Mostly in the direction of the step, so that most ranges hold something.
        bounds.sort(reverse=step is not None and step < 0)
    bounds = [bound - size if dice.random() < 0.5 else bound for bound in bounds]
    start, stop = (None if dice.random() < 0.25 else bound for bound in bounds)
    return slice(start, stop, step)


def spelled(index):
    if index is Ellipsis:
        return "..."
    if index is None:
        return "new"
    if isinstance(index, slice):
        word = lambda bound: "" if bound is None else str(bound)
        return f"{word(index.start)}:{word(index.stop)}:{word(index.step)}"
    return str(index)


def numbers(values):
    return ",".join(str(value) for value in values)


def indexing():
    shapes = [(), (1,), (5,), (0,), (3, 4), (2, 3, 4), (2, 0, 3), (2, 1, 3, 2), (1, 1), (2, 2, 1, 2, 3)]
    with open(HERE / "numpy_indexing.txt", "w") as out:
        out.write("# shape | index | shape of the part | elements of arange(n).reshape(shape)[index]\n")
        for _ in range(500):
            shape = dice.choice(shapes)
            index = [random_index(size) for size in shape][: dice.randint(0, len(shape))]
            if dice.random() < 0.4:
                # Before an ellipsis stand the first axes, after it the last ones.
                front = dice.randint(0, len(shape))
                back = dice.randint(0, len(shape) - front)
                index = [random_index(size) for size in shape[:front]] + [Ellipsis]
                index += [random_index(size) for size in shape[len(shape) - back :]]
            for _ in range(dice.choice([0, 0, 0, 1, 2])):
                index.insert(dice.randint(0, len(index)), None)
            array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
            part = np.asarray(array[tuple(index)])
            fields = [numbers(shape), " ".join(map(spelled, index)), numbers(part.shape), numbers(part.ravel())]
            out.write(" | ".join(fields) + "\n")


def arrays():
    noise = np.random.default_rng(5)
    for dtype in ["f4", "f8", "f2"]:
        for values in [
            [1.0, 2.5, 0.1],
            [0.0, -0.0, 1.0],
            [1e-5, 2.5, np.nan, -np.inf],
            [np.nan, np.inf],
            [np.nan, -np.inf, 1.0],
            [np.inf, 0.001],
            [-0.5, 100.25, 3.0],
            [1e-4, 1.0],
            [1e-4, 0.05],
            [9.9999999996e-5, 1.0],
            [99.9999999996, 1.0],
            [1000.0, 1.0],
            [1001.0, 1.0],
            [999.0, 0.998],
            [999999.0, 1000.0],
            [1e6, 1e5],
            [1e8, 1e7],
            [1 / 3, 2 / 3, 1.0],
            [1e30, 1e-30, 0.0],
            [6e-8, 6e4],
            [0.0, 0.0],
        ]:
            with np.errstate(over="ignore"):
                yield np.array(values, dtype)
        for shape in [(1,), (17,), (3, 4), (2, 2, 3), (2, 1, 2, 2), (30, 50), (9, 2, 80), (1001,), (1000,), (4, 6, 50), (6, 501)]:
            if dtype == "f2" and np.prod(shape) > 1000:
                continue
            yield noise.normal(size=shape).astype(dtype)
    yield np.exp(noise.normal(size=(4, 5)) * 40)
    yield np.exp(noise.normal(size=(4, 5)) * 300)
    yield noise.normal(size=(40, 40)) * 1e7
    for dtype in ["i8", "i4", "u1"]:
        yield np.array([0, 1, 100], dtype)
        yield np.arange(2000).astype(dtype).reshape(40, 50)
        yield np.arange(120).astype(dtype).reshape(2, 60)
    yield np.array([[-1, 10], [-(2**63), 2**63 - 1]])
    yield np.zeros((0,))


def texts():
    names = {"f4": "f32", "f8": "f64", "f2": "f16", "i8": "i64", "i4": "i32", "u1": "u8"}
    with open(HERE / "numpy_text.txt", "w") as out:
        out.write("# element type | shape | elements (bits of floats, in hexadecimal), then str(array), then a line ---\n")
        for array in arrays():
            name = names[array.dtype.str[1:]]
            bits = array.view("u" + array.dtype.str[2:]) if name[0] == "f" else array
            words = (format(int(v), "x") if name[0] == "f" else str(v) for v in bits.ravel())
            if array.size > 1000:
                # What is left out of the text is left out here: ~n stands for n elements.
                edges = np.zeros(array.shape, bool)
                shown = [[0, 1, 2, n - 3, n - 2, n - 1] if n > 6 else range(n) for n in array.shape]
                edges[np.ix_(*shown)] = True
                runs = itertools.groupby(zip(words, edges.ravel()), key=lambda pair: pair[1])
                runs = ((keep, [word for word, _ in run]) for keep, run in runs)
                words = (word for keep, run in runs for word in (run if keep else [f"~{len(run)}"]))
            out.write(f"{name} | {numbers(array.shape)} | {','.join(words)}\n{array}\n---\n")


indexing()
texts()
