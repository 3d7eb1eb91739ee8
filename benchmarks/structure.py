"""Count how the code of logogan_jax reads: its layout, calls, imports, comments and lengths.

    python benchmarks/structure.py [--tree=DIR] [--against=OLDER] [--out=FILE]

Counts the package of this checkout, or of the checkout DIR. `--against=OLDER` counts a second checkout and prints it as
the column "before". `--out=FILE` also writes the counts as JSON. Nothing is counted by hand:

    root entries       files and folders at the root of the package
    frames, files      calls from `main` to the loss of an objective while JAX traces the first training step, and the
                       files that they lie in; the training command runs with tiny networks (trace_to_loss.py)
    step modules       modules that a reader opens to understand one step: the module that defines the train step, and
                       all modules of ours that it imports, directly or not, except those of core/
    packed             assignments such as `a, b = 1, 2`, for every 1,000 lines; a swap is not counted
    aliases            imports of our own modules and names under another name
    comments           comments in relation to lines that are not blank
    function, file     lines of the median and of the longest one
"""

import ast
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import tokenize

PACKAGE = "logogan_jax"
STEP_MODULES = ("training/train_step.py", "step.py")  # where the train step is defined, today and in older checkouts
# The modules of core/, today and in older checkouts: what every reader knows after the first day.
CORE = ("core", "cache", "clock", "command", "errors", "files", "images", "keys", "progress", "storage")
COMMENTED = ("training", "networks", "distributed")  # the folders whose comments are also counted on their own


def trees(package: pathlib.Path) -> dict[str, str]:
    """Read the modules of a package: {path below the package: source text}."""
    paths = sorted(path for path in package.rglob("*.py") if "__pycache__" not in path.parts)
    return {path.relative_to(package).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def root_entries(package: pathlib.Path) -> int:
    """Count the files and folders at the root of a package."""
    return sum(path.name != "__pycache__" for path in package.iterdir())


# ── one module ──────────────────────────────────────────────────────────────────────────────


def packed_assignments(text: str) -> int:
    """Count the assignments of a tuple to as many names, such as `a, b = 1, 2`; `a, b = b, a` is not counted."""
    count = 0
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            values = sorted(map(ast.unparse, node.value.elts))
            for target in node.targets:
                if isinstance(target, ast.Tuple) and sorted(map(ast.unparse, target.elts)) != values:
                    count += 1
    return count


def import_aliases(text: str) -> int:
    """Count the imports of our own modules and names under another name: `from logogan_jax import a as b`."""
    count = 0
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            sources = [node.module or PACKAGE] * len(node.names)
        elif isinstance(node, ast.Import):
            sources = [alias.name for alias in node.names]
        else:
            continue
        for source, alias in zip(sources, node.names, strict=True):
            renamed = alias.asname not in (None, alias.name)
            count += renamed and source.split(".")[0] in (PACKAGE, "data_prep")
    return count


def comment_lines(text: str) -> int:
    """Count the lines that hold a comment, alone or behind code."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return len({token.start[0] for token in tokens if token.type == tokenize.COMMENT})


def code_lines(text: str) -> int:
    """Count the lines that are not blank."""
    return sum(bool(line.strip()) for line in text.splitlines())


def function_lengths(text: str) -> list[int]:
    """List the number of lines of every function and method, from `def` to the last line."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions)
    ]


def imported_modules(text: str, known: set[str]) -> set[str]:
    """List which of the `known` modules (dotted names) a module imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    # `from package import module` names the package, too; what the reader opens is the module.
    return {name for name in names & known if not any(other.startswith(f"{name}.") for other in names & known)}


# ── a package ───────────────────────────────────────────────────────────────────────────────


def step_modules(modules: dict[str, str]) -> list[str]:
    """List the modules to open to understand one step, as dotted names, the one that defines it included."""
    dotted = {
        f"{PACKAGE}/{path}".removesuffix(".py").replace("/", ".").removesuffix(".__init__"): text
        for path, text in modules.items()
    }
    first = next(path for path in STEP_MODULES if path in modules)
    waiting = [f"{PACKAGE}/{first}".removesuffix(".py").replace("/", ".")]
    opened = set()
    while waiting:
        name = waiting.pop()
        if name not in opened and name.split(".")[1] not in CORE:
            opened.add(name)
            waiting += imported_modules(dotted[name], set(dotted) - {PACKAGE})
    return sorted(opened)


def comment_share(modules: dict[str, str], folder: str = "") -> float | None:
    """Return the comment lines of a folder's modules in relation to its lines; None where there is no such folder."""
    texts = [text for path, text in modules.items() if path.startswith(f"{folder}/" if folder else "")]
    return sum(map(comment_lines, texts)) / sum(map(code_lines, texts)) if texts else None


def count_text(modules: dict[str, str]) -> dict[str, float | None]:
    """Return the counts that follow from the text of the modules alone."""
    texts = list(modules.values())
    lines = [text.count("\n") for text in texts]
    functions = [length for text in texts for length in function_lengths(text)]
    shares = {f"comments in {folder}/": comment_share(modules, folder) for folder in COMMENTED}
    return {
        "step modules": len(step_modules(modules)),
        "packed per 1,000 lines": 1000 * sum(map(packed_assignments, texts)) / sum(lines),
        "aliases": sum(map(import_aliases, texts)),
        **shares,
        "comments": comment_share(modules),
        "median function": statistics.median(functions),
        "longest function": max(functions),
        "median file": statistics.median(lines),
        "longest file": max(lines),
        "files": len(texts),
        "lines": sum(lines),
    }


# ── from main to a loss ─────────────────────────────────────────────────────────────────────


def frames_to_loss(tree: pathlib.Path) -> list[list[str]]:
    """Run the training command of a checkout until it traces a loss, and list the calls: [[file, function], ...]."""
    from runs import drawings

    environment = {**os.environ, "PYTHONPATH": str(tree), "JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "0"}
    script = pathlib.Path(__file__).resolve().parent / "trace_to_loss.py"
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, str(script), str(drawings(pathlib.Path(folder))), f"{folder}/run"]
        done = subprocess.run(words, cwd=tree, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def count(tree: pathlib.Path) -> dict[str, float | None]:
    """Return all counts of a checkout."""
    package = tree / PACKAGE
    frames = frames_to_loss(tree)
    return {
        "root entries": root_entries(package),
        "frames from main to a loss": len(frames),
        "files from main to a loss": len({file for file, _ in frames}),
        **count_text(trees(package)),
    }


def table(columns: dict[str, dict[str, float | None]]) -> str:
    """Format counts as Markdown, one column for each checkout."""
    rows = [f"| | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name in next(iter(columns.values())):
        cells = [shown(name, counts[name]) for counts in columns.values()]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def shown(name: str, value: float | None) -> str:
    """Format one count; a share of comments is shown in percent."""
    if value is None:
        return "-"
    if name.startswith("comments"):
        return f"{value:.1%}"
    return f"{value:,.1f}".removesuffix(".0")


def main() -> None:
    """Run the command."""
    from record import ROOT, parser, stamp

    from logogan_jax.core import files

    flags = parser(__doc__)
    flags.add_argument("--tree", type=pathlib.Path, default=ROOT, help="checkout to count (default: this one)")
    flags.add_argument("--against", type=pathlib.Path, help="an older checkout to compare it with")
    flags.add_argument("--out", type=pathlib.Path, help="JSON file to write")
    args = flags.parse_args()
    checkouts = {"before": args.against, "now": args.tree}
    columns = {name: count(tree.resolve()) for name, tree in checkouts.items() if tree}
    print(table(columns))
    if args.out:
        files.write_json(args.out, {**stamp("python benchmarks/structure.py"), **columns})


if __name__ == "__main__":
    main()
