"""Small faults put into the package one at a time: do the tests of the same module notice?

    python tests/bench/mutants.py --seed 1 --count 150 --jobs 2

Works in copies of the tree. Prints each fault with file and line, and whether it was caught.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "analysis"
LEFT_OUT = ("samples", "report/charts")
SECONDS = 600  # after which a fault counts as caught: it never ends
PAIRS = (
    (ast.Add, ast.Sub),
    (ast.Mult, ast.Div),
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.And, ast.Or),
    (ast.BitAnd, ast.BitOr),
    (ast.In, ast.NotIn),
)
SWAPS: dict[type, type] = dict(PAIRS) | {b: a for a, b in PAIRS}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "head": "tail", "first": "last"}


class Fault(NamedTuple):
    """A line of a file, the node of its tree by number, and what becomes of it."""

    file: str
    line: int
    number: int
    what: str


def change(node: ast.AST) -> tuple[ast.AST, str] | None:
    """The node with a fault in it, and the fault in words; None where there is none to make."""
    new: Any = node
    match node:
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in SWAPS:
            new.op = SWAPS[type(op)]()
            return new, f"{type(op).__name__} -> {SWAPS[type(op)].__name__}"
        case ast.Compare(ops=[op, *rest]) if type(op) in SWAPS:
            new.ops = [SWAPS[type(op)](), *rest]
            return new, f"{type(op).__name__} -> {SWAPS[type(op)].__name__}"
        case ast.Constant(value=bool(value)):
            return ast.Constant(not value), f"{value} -> {not value}"
        case ast.Constant(value=int(value) | float(value)):
            return ast.Constant(value + 1), f"{value} -> {value + 1}"
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
            return operand, f"{type(node.op).__name__} left out"
        case ast.Attribute(attr=name) if name in NAMES:
            new.attr = NAMES[name]
            return new, f"{name} -> {NAMES[name]}"
        case ast.Name(id=name) if name in NAMES:
            return ast.Name(NAMES[name], node.ctx), f"{name} -> {NAMES[name]}"
    return None


def faults() -> Iterator[Fault]:
    """All that could be made."""
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        if file.startswith(LEFT_OUT) or path.name == "__init__.py":
            continue
        for number, node in enumerate(ast.walk(ast.parse(path.read_text("utf-8")))):
            if made := change(node):
                yield Fault(file, node.lineno, number, made[1])


def faulty(source: str, number: int) -> str:
    """The source with the fault of this node."""
    tree = ast.parse(source)
    target = next(node for n, node in enumerate(ast.walk(tree)) if n == number)
    made = change(target)
    assert made

    class Put(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return made[0] if node is target else self.generic_visit(node)

    return ast.unparse(ast.fix_missing_locations(Put().visit(tree)))


@cache
def imported(path: Path) -> set[str]:
    """What a file imports, by dotted name: of `from a import b` both a and a.b."""
    tree = ast.walk(ast.parse(path.read_text("utf-8")))
    lines = [(str(n.module), n.names) for n in tree if isinstance(n, ast.ImportFrom)]
    return {name for a, names in lines for name in (a, *(f"{a}.{b.name}" for b in names))}


@cache
def tests_of(file: str) -> frozenset[Path]:
    """The tests that mirror a module, also those in a second file (test_btyd_as_lifetimes). Of one
    without: those of its room that import it, with those of the modules that do; where nothing
    does, all of the room.
    """
    module = Path(file).parent if file.endswith("__init__.py") else Path(file).with_suffix("")
    mirror = ROOT / "tests" / module.with_name(f"test_{module.name}.py")
    if mirror.is_file():
        more = mirror.parent.glob(f"{mirror.stem}_*.py")
        own = (PACKAGE / module).parent
        second = (p for p in more if not (own / p.name.removeprefix("test_")).is_file())
        return frozenset([mirror, *second])
    name, room = ".".join(("analysis", *module.parts)), "".join(module.parts[:-1][:1])
    tests = frozenset((ROOT / "tests" / room).glob("test_*.py"))
    users = (p for p in (PACKAGE / room).rglob("*.py") if name in imported(p))
    of_users = (tests_of(p.relative_to(PACKAGE).as_posix()) for p in users)
    return frozenset(p for p in tests if name in imported(p)).union(*of_users) or tests


def run(tests: Iterable[Path], tree: Path, seconds: float | None = None) -> int:
    """Pytest's answer in a copied tree, ended by the first test that fails; small files first."""
    call = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    files = sorted(tests, key=lambda path: (path.stat().st_size, path))
    call += [str(path.relative_to(ROOT)) for path in files]
    done = subprocess.run(call, cwd=tree, env=environment, capture_output=True, timeout=seconds)
    return done.returncode


def is_caught(fault: Fault, tree: Path) -> bool:
    """Whether the tests of the module fail with the fault in the copied tree."""
    path = tree / "src" / "analysis" / fault.file
    source = path.read_text("utf-8")
    try:
        path.write_text(faulty(source, fault.number), "utf-8")
        return run(tests_of(fault.file), tree, SECONDS) != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(source, "utf-8")


def main() -> None:
    """Draw faults, try them, and say what survived."""
    parser = argparse.ArgumentParser()
    for name, default in (("seed", 1), ("count", 150), ("jobs", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    every = list(faults())
    drawn = random.Random(asked.seed).sample(every, min(asked.count, len(every)))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.jobs) as pool:
        trees: Queue[Path] = Queue()
        for number in range(asked.jobs):
            skipped = shutil.ignore_patterns(".git", ".venv", "processed", "__pycache__")
            trees.put(Path(shutil.copytree(ROOT, Path(folder) / str(number), ignore=skipped)))
        if run(set().union(*(tests_of(fault.file) for fault in drawn)), trees.queue[0]):
            raise SystemExit("Tests fail without any fault.")

        def tried(fault: Fault) -> bool:
            tree = trees.get()
            caught = is_caught(fault, tree)
            trees.put(tree)
            verdict = "caught  " if caught else "SURVIVED"
            print(f"{verdict} {fault.file}:{fault.line}: {fault.what}", flush=True)
            return caught

        caught = sum(pool.map(tried, drawn))
    print(f"{caught} of {len(drawn)} caught ({caught / max(len(drawn), 1):.0%})")


if __name__ == "__main__":
    main()
