"""Ask how good marks could be: fields are fitted to real logos, drawn, and judged: results/ceiling-cpu.json.

    python benchmarks/ceiling.py

No generator is trained: each logo gets fields of its own, by gradient descent on the coverage of its ink. The judges
show what such fields cannot draw. Writes the table of docs/quality.md.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from equal_minutes import METRICS, Judge
from record import parser, rewrite_table, write_record

from logogan_jax.networks import mark

NAME = "ceiling-cpu"
CASES = ((28, 28), (28, 14), (56, 56), (56, 28), (56, 14))  # sides of a picture and of its fields
LOGOS = 1_024
STEPS = 200
RATE = 0.05
SHARPNESS = 10.0  # at first


class Fit(NamedTuple):
    """Fields float32[n, h, w, 1] and their sharpness."""

    fields: jax.Array
    sharpness: jax.Array


def fit(covered: jax.Array, side: int, steps: int = STEPS) -> Fit:
    """Return fields of a side whose marks are nearest to the coverage float32[n, H, W, 1] in [0, 1]."""
    scale = covered.shape[1] // side
    start = jax.image.resize(covered, (len(covered), side, side, 1), "linear") - 0.5
    adam = optax.adam(RATE)

    def distance(found: Fit) -> jax.Array:
        return jnp.square(mark.coverage(*found, scale) - covered).sum() / len(covered)

    def step(_: int, state: tuple[Fit, Any]) -> tuple[Fit, Any]:
        found, moments = state
        updates, moments = adam.update(jax.grad(distance)(found), moments)
        return optax.apply_updates(found, updates), moments

    first = Fit(start, jnp.float32(SHARPNESS))
    return jax.jit(lambda: jax.lax.fori_loop(0, steps, step, (first, adam.init(first)))[0])()


def redraw(pixels: np.ndarray, side: int, steps: int = STEPS) -> np.ndarray:
    """Draw logos uint8[n, H, W, 3] by fields of a side; each keeps its colour."""
    images = jnp.asarray(pixels, jnp.float32) / 127.5 - 1
    covered = (mark.image_coverage(images) + 1) / 2
    flat, rows = covered.reshape(len(covered), -1), jnp.arange(len(covered))
    colours = images.reshape(len(images), -1, 3)[rows, flat.argmax(1)]
    drawn = mark.coverage(*fit(covered, side, steps), pixels.shape[1] // side)
    painted = mark.lay_on_ground(drawn, (colours[:, None] + 1) / 2, 3)
    return np.asarray(jnp.round(127.5 * (painted + 1)).astype(jnp.uint8))


def table(rows: dict[str, Any]) -> str:
    """Write the rows as a table of Markdown."""
    lines = [f"| pixels | drawn from | {' | '.join(METRICS)} |".replace("_", " ")]
    lines.append("|---:|---|" + "---:|" * len(METRICS))
    for row in rows.values():
        side, values = row["fields"], row["against"]
        words = f"fields of {side} x {side}" if side else "*real logos, as they are*"
        cells = [f"{values[name]['value']:.3f}" for name in METRICS]
        lines.append(f"| {row['size']} | {words} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    parser(__doc__).parse_args()
    rows = {}
    for size in dict.fromkeys(size for size, _ in CASES):
        judge = Judge(size)
        logos = judge.train[:LOGOS]
        for side in (*(side for of, side in CASES if of == size), 0):
            against = judge.measure(redraw(logos, side) if side else logos)["against"]
            rows[f"{size} from {side or 'reals'}"] = {"size": size, "fields": side, "against": against}
            print(size, side, against["kid_efflite0"]["value"], flush=True)
    write_record(NAME, "python benchmarks/ceiling.py", {"logos": LOGOS, "steps": STEPS, "rows": rows})
    rewrite_table("docs/quality.md", NAME, table(rows))


if __name__ == "__main__":
    main()
