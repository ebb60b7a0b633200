"""The house rules that a machine can check: import order, names, sizes, no pickle."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import ifvit

PACKAGE = Path(ifvit.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 260

MOST_OF_A_ROOM = 0.13
"""Share of the package's lines that one room holds at most."""

ORDER = (
    (
        "config",
        "dataset_spec",
        "presets",
        "locks",
        "temporary",
        "files",
        "texts",
        "archives",
        "cache",
        "shapes",
        "jax_settings",
        "numpy_settings",
    ),
    ("geometry",),
    ("synthesis",),
    ("data",),
    ("models",),
    ("weights",),
    ("runtime",),
    ("features",),
    ("registration",),
    ("registered_pair",),
    ("comparison",),
    ("minutiae",),
    ("matcher",),
    ("one_call",),
    ("gallery",),
    ("sources",),
    ("viz",),
    ("evaluation",),
    ("training",),
    ("export",),
    ("service",),
    ("demo", "endings", "verbs", "commands", "cli", "__main__"),
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


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


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
        assert own in ("evaluation", "viz", "demo", "commands", "cli")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_can_be_read_in_one_go(path):
    assert lines(path) <= MOST_LINES
    assert path.name != "utils.py"


def test_no_two_files_share_a_name():
    """So that a name says which file is meant; commands are named after what they call."""
    stems = Counter(
        path.stem for path in FILES if path.stem != "__init__" and parts(path) != "commands"
    )
    assert [stem for stem, count in stems.items() if count > 1] == []


def test_the_tree_in_the_docs_is_the_tree_on_disk():
    """Each file once, and in the order of the rooms."""
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = text.split("```\nifvit/\n")[1].split("\nrecipes/")[0]
    named, room = [], ""
    for entry in re.findall(r"^( +)([\w.]+/?)  ?", tree, re.MULTILINE):
        indent, word = len(entry[0]), entry[1]
        if indent == 2:
            room = word if word.endswith("/") else ""
        if word.endswith(".py"):
            named.append(room * (indent > 2) + word)
    assert sorted(named) == [name(path) for path in FILES if path.stem != "__init__"], (
        "docs/architecture.md shows other files"
    )
    places = [RANK[file.split("/")[0].removesuffix(".py")] for file in named]
    assert places == sorted(places)


def test_no_room_is_much_larger_than_the_others():
    rooms: Counter[str] = Counter()
    for path in FILES:
        rooms[parts(path)] += lines(path)
    (largest, most), *_ = rooms.most_common()
    assert most < MOST_OF_A_ROOM * rooms.total(), f"{largest} holds {most} of {rooms.total()} lines"


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


def arrays_compared(tree: ast.AST) -> list[str]:
    """Return the dataclasses that hold arrays and are compared by value: an array has no truth."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        fields = [ast.unparse(f.annotation) for f in node.body if isinstance(f, ast.AnnAssign)]
        kinds = [ast.unparse(one) for one in node.decorator_list]
        made = [kind for kind in kinds if kind.split("(")[0].endswith("dataclass")]
        if made and any("ndarray" in field for field in fields) and "eq=False" not in made[0]:
            found.append(node.name)
    return found


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_holds_arrays_is_compared_by_identity(path):
    assert arrays_compared(parse(path)) == []


APPENDS = {
    "locks.py",
    "temporary.py",
    "files.py",
    "evaluation/evaluate.py",
    "evaluation/resume.py",
    "training/run.py",
}
"""Files that write by themselves: the one that does it for all, locks, and logs that only grow."""


def writers(tree: ast.AST) -> list[str]:
    """Return the calls that write to a file of their own."""
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        texts = [a.value for a in node.args[:2] if isinstance(a, ast.Constant)]
        modes = [t for t in texts if isinstance(t, str) and set(t) <= set("rwaxbt+") and t]
        if called == "write_bytes":
            found.append(called)
        if called == "write_text" and isinstance(node.func, ast.Attribute):
            found.append(called)
        if called == "open" and any(set(mode) & set("wax+") for mode in modes):
            found.append("open")
    return found


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_are_written_in_one_place(path):
    """Whole or not at all, for each of them (``ifvit.files``)."""
    if name(path) not in APPENDS:
        assert writers(parse(path)) == []


def test_the_rules_would_catch_it():
    written = "p.write_text('x')\nwrite_text(p, 'x')\nopen(p, 'w')\np.open('rb')\np.open('a')"
    assert writers(ast.parse(written)) == ["write_text", "open", "open"]
    tree = ast.parse("import pickle\ndef f():\n    from ifvit.cli import main\nnp.load('x')")
    assert "pickle" in imported(tree) and "ifvit.cli" in imported(tree)
    assert loads(tree) == [("np", {})]
    held = "@dataclass(frozen=True)\nclass A:\n    a: Float[np.ndarray, 'H W']\n    b: int"
    assert arrays_compared(ast.parse(held)) == ["A"]
    assert arrays_compared(ast.parse(held.replace("True", "True, eq=False"))) == []


def test_orbax_is_called_in_one_file_only():
    users = [name(path) for path in FILES if any("orbax" in m for m in imported(parse(path)))]
    assert users == ["training/states.py"]
