"""Compare the figures of a demo with the least that they must be, and its prints with themselves.

Usage: python tests/check_demo.py demo/report.json. Exit code 1 where a figure is too low, or where
a print matches another better than itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LEAST = {
    ("module1", "cell_accuracy"): 0.35,
    ("module1", "within_one_cell"): 0.60,
    ("module2", "auc"): 0.90,
}
MOST_SECONDS = 480


def failures(report: dict) -> list[str]:
    """Print each figure beside its limit; return the names of those that are too low."""
    low = []
    for (module, name), least in LEAST.items():
        value = report.get(module, {}).get(name)
        passed = value is not None and value >= least  # a NaN is not
        shown = "missing" if value is None else f"{value:.3f}"
        print(f"{'ok ' if passed else 'LOW'}  {module}.{name} = {shown} (at least {least:.2f})")
        if not passed:
            low.append(f"{module}.{name}")
    return low


def second_to_another(folder: Path, prints: int = 4) -> list[str]:
    """Match prints of the demo with themselves; return those that match another as well."""
    from ifvit.evaluation.scores import read_scores
    from ifvit.one_call import match

    rows = read_scores(folder / "scores.csv")
    images = {path.stem: path for path in sorted(folder.glob("prints_*/[0-9]*_*.png"))}
    checkpoints = folder / "checkpoints"
    low = []
    for name in list(images)[:prints]:
        itself = match(
            images[name],
            images[name],
            dense_ckpt=checkpoints / "dense_reg" / "dense_reg_ckpt.safetensors",
            matcher_ckpt=checkpoints / "matcher" / "matcher_ckpt.safetensors",
        ).score
        others = max(row.score for row in rows if name in (row.name0, row.name1))
        print(f"{name}: {itself:.3f} against itself, at most {others:.3f} against another")
        if not itself > others:
            low.append(name)
    return low


def main(path: Path) -> int:
    """Check one report; return the exit code."""
    if not path.is_file():
        print(f"no report at {path}: run `make demo` first", file=sys.stderr)
        return 1
    report = json.loads(path.read_text(encoding="utf-8"))
    low = failures(report) + second_to_another(path.parent)
    seconds = report.get("seconds")
    if seconds is None:
        low.append("seconds")
        print("LOW  seconds = missing (the report is incomplete)")
    else:
        # The limit holds for two free cores; a busy machine is no fault of the code.
        note = "" if seconds < MOST_SECONDS else f": over {MOST_SECONDS} s, on a busy machine?"
        print(f"     seconds = {seconds:.0f}{note}")
    if low:
        print(f"the demo falls short in {', '.join(low)}", file=sys.stderr)
    return 1 if low else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/check_demo.py REPORT.json")
    sys.exit(main(Path(sys.argv[1])))
