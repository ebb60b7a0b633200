"""The contents of a model or a checkpoint, in words and tables."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from flax import nnx

from ifvit.files import sha256_of
from ifvit.weights.checkpoint import load_dense, load_matcher, read_metadata
from ifvit.weights.loftr import lineage_of, read_loftr
from ifvit.weights.metadata import Metadata
from ifvit.weights.storage import foreign_kind

logger = logging.getLogger("ifvit")


def parameter_summary(module: nnx.Module) -> str:
    """Return a table of a model's top-level parts with their arrays and parameters, and totals."""
    return "\n".join(_table(_count(module, nnx.Param)))


def log_parameters(module: nnx.Module) -> None:
    """Log that table, a record for each line: the command line shows a record as one line."""
    for line in parameter_summary(module).splitlines():
        logger.info("  %s", line)


def describe(path: str | Path) -> str:
    """Return a description of a checkpoint: tree, counts, config, epoch, metrics, lineage.

    The weights are loaded into the model, so that a described file is known to be usable.
    Converted LoFTR weights are described too. Raises FileNotFoundError, and ValueError for a file
    that is not usable.
    """
    if Path(path).is_file() and foreign_kind(path) == "loftr":
        return _describe_loftr(Path(path))
    meta = read_metadata(path)
    model, _ = load_dense(path) if meta.module == "dense_reg" else load_matcher(path)
    size = Path(path).stat().st_size / 1e6
    lines = [f"{path}: {meta.module_name}, {size:.1f} MB", "", "params"]
    lines += ["  " + line for line in _table(_count(model, nnx.Param))]
    lines += ["batch_stats"]
    lines += ["  " + line for line in _table(_count(model, nnx.BatchStat))]
    lines += ["", f"epoch {meta.epoch}, step {meta.step}", *_metrics(meta)]
    lines += ["", "config", *_config(meta)]
    lines += ["", *_lineage(path, meta)]
    return "\n".join(lines)


def _describe_loftr(path: Path) -> str:
    arrays, record = read_loftr(path)
    heads = "not known" if record.num_heads is None else record.num_heads
    lines = [f"{path}: LoFTR, converted, {path.stat().st_size / 1e6:.1f} MB", ""]
    lines += [record.summary(arrays), f"heads: {heads}"]
    lines += [f"temp_bug_fix={record.temp_bug_fix} ({record.temp_bug_fix_from})"]
    lines += ["", *_links(lineage_of(path, record, record.num_layers))]
    return "\n".join(lines)


def _count(module: nnx.Module, kind: type[nnx.Variable]) -> dict[str, tuple[int, int]]:
    """Return the number of arrays and of values in each top-level part."""
    counts: dict[str, tuple[int, int]] = {}
    for path, var in nnx.to_flat_state(nnx.state(module, kind)):
        arrays, values = counts.get(str(path[0]), (0, 0))
        counts[str(path[0])] = (arrays + 1, values + var.size)
    return counts


def _table(counts: dict[str, tuple[int, int]]) -> list[str]:
    total = (sum(a for a, _ in counts.values()), sum(v for _, v in counts.values()))
    rows = [*sorted(counts.items()), ("total", total)]
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {a:>4} arrays  {v:>11,} values" for name, (a, v) in rows]


def _metrics(meta: Metadata) -> list[str]:
    if not meta.metrics:
        return ["no metrics recorded"]
    return [f"  {name} {value:.4g}" for name, value in sorted(meta.metrics.items())]


def _config(meta: Metadata) -> list[str]:
    lines = []
    for name, value in sorted(meta.config.items()):
        if isinstance(value, dict):
            lines += [f"  {name}.{k} = {json.dumps(v)}" for k, v in sorted(value.items())]
        else:
            lines.append(f"  {name} = {json.dumps(value)}")
    return lines


def _lineage(path: str | Path, meta: Metadata) -> list[str]:
    lines = _links(meta.lineage)
    lines.append(f"  this file  {sha256_of(path)}  {Path(path).name}")
    if "scratch" in meta.roles:
        lines.append(
            "The Module 1 link was skipped: this matcher did not start from a trained Module 1, "
            "which is outside the method."
        )
    elif "loftr" not in meta.roles:
        lines.append(
            "The LoFTR link was skipped: Module 1 started at random, without converted weights."
        )
    return lines


def _links(lineage: Sequence[Mapping[str, str]]) -> list[str]:
    lines = ["lineage, oldest first"]
    for entry in lineage:
        if entry["role"] == "scratch":
            lines.append(f"  scratch    {entry['note']}")
        else:
            lines.append(f"  {entry['role']:<9}  {entry['sha256']}  {entry['file']}")
            lines.append(f"             {entry['note']}")
    return lines
