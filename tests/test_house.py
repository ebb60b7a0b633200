"""The house rules that a machine can check: import order, file sizes, no pickle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ifvit

PACKAGE = Path(ifvit.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 260

ORDER = (
    ("config", "presets"),
    ("synthesis",),
    ("data",),
    ("models",),
    ("weights",),
    ("pipeline",),
    ("evaluation",),
    ("training",),
    ("viz", "overlay", "demo", "commands", "cli"),
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}

# Both read the files that ``torch.save`` and careless ``np.save`` write, by running what is inside.
PICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def parts(path: Path) -> str:
    """Return the part of the package that a file belongs to: its folder, or its own name."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(tree: ast.AST) -> set[str]:
    """Return every module that a file imports, wherever in it, by its full name."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {node.module or ""} | {f"{node.module}.{a.name}" for a in node.names}
    return names


def loads(tree: ast.AST) -> list[tuple[str, dict[str, ast.expr]]]:
    """Return the calls of a function named ``load``: of what (such as ``np``), and its keywords."""
    return [
        (ast.unparse(node.func.value), {k.arg or "**": k.value for k in node.keywords})
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "load"
    ]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_every_part_has_its_place_in_the_order():
    assert {parts(path) for path in FILES} - {"__init__"} == set(RANK)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_never_point_backwards(path):
    own = parts(path)
    if own == "__init__":  # the package's own shows what is further down
        return
    used = {full.split(".")[1] for full in imported(parse(path)) if full.startswith("ifvit.")}
    later = {part for part in used & set(RANK) if RANK[part] > RANK[own]}
    assert not later, f"{name(path)} imports {later}, which come after {own}"
    if "viz" in used:
        assert own in ("evaluation", "viz", "overlay", "demo", "commands", "cli")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_can_be_read_in_one_go(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    assert path.name != "utils.py"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_is_pickled(path):
    tree = parse(path)
    roots = {full.split(".")[0] for full in imported(tree)}
    assert not roots & PICKLERS
    for module, keywords in loads(tree):
        if module in ("np", "numpy", "jnp"):
            refused = keywords.get("allow_pickle")
            assert isinstance(refused, ast.Constant) and refused.value is False
        if module == "torch":  # which otherwise runs what is in the file
            only = keywords.get("weights_only")
            assert isinstance(only, ast.Constant) and only.value is True


def test_the_rules_would_catch_it():
    tree = ast.parse("import pickle\ndef f():\n    from ifvit.cli import main\nnp.load('x')")
    assert "pickle" in imported(tree) and "ifvit.cli" in imported(tree)
    assert loads(tree) == [("np", {})]


def test_orbax_is_called_in_one_file_only():
    users = [name(path) for path in FILES if any("orbax" in m for m in imported(parse(path)))]
    assert users == [str(Path("training", "checkpoints.py"))]
