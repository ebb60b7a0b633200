"""The metadata of a checkpoint: module, settings, progress, and the files it came from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ifvit.config import DenseConfig, MatchConfig, TrainConfig
from ifvit.files import sha256_of
from ifvit.texts import parse_json, shortened
from ifvit.weights.settings import from_json, grouped, to_json

MODULE_NAMES = {"dense_reg": "Module 1 (dense_reg)", "matcher": "Module 2 (matcher)"}

HOW_TO_GET = {
    "dense_reg": "the dense_reg_ckpt.safetensors that `ifvit train-dense` writes",
    "matcher": "the matcher_ckpt.safetensors that `ifvit train-match` writes",
}

LINEAGE_KEYS = ("role", "file", "sha256", "note")


@dataclass(frozen=True)
class Metadata:
    """The metadata of a checkpoint. Raises ValueError where they break the rules below."""

    module: str
    """``dense_reg`` or ``matcher``."""
    config: dict[str, Any]
    """The ``DenseConfig`` or ``MatchConfig`` of its training, as plain JSON values, in groups."""
    epoch: int = 0
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    lineage: tuple[dict[str, str], ...] = ()
    """The files that these weights came from, oldest first, each with role, file, sha256, note.

    Roles: ``pytorch`` (LoFTR's checkpoint), ``loftr`` (what it was converted to), ``dense_reg``
    (Module 1), ``scratch`` (an explicit start without Module 1), ``matcher`` (the Module 2 that was
    exported). A matcher's lineage must hold ``dense_reg`` or ``scratch``.
    """

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        *,
        epoch: Any = 0,
        step: Any = 0,
        metrics: Mapping[str, Any] | None = None,
        lineage: tuple[dict[str, str], ...] = (),
    ) -> Metadata:
        """Make the record of a training; numbers may be NumPy or JAX scalars."""
        module = "dense_reg" if isinstance(config, DenseConfig) else "matcher"
        values = {name: float(value) for name, value in (metrics or {}).items()}
        return cls(module, json.loads(to_json(config)), int(epoch), int(step), values, lineage)

    def __post_init__(self) -> None:
        """Raise ValueError for unknown modules, unreadable settings, and a lineage that skips
        Module 1."""
        check_types(self)
        if self.module not in MODULE_NAMES:
            raise ValueError(
                f"module {self.module!r} is unknown: expected {' or '.join(MODULE_NAMES)}"
            )
        for entry in self.lineage:
            if set(entry) != set(LINEAGE_KEYS):
                raise ValueError(
                    f"lineage entry has the keys {sorted(entry)}: expected {LINEAGE_KEYS}"
                )
        if self.module == "matcher" and not {"dense_reg", "scratch"} & set(self.roles):
            raise ValueError(
                "the lineage of this matcher skips Module 1: train it with --pretrained-ckpt, "
                f"{HOW_TO_GET['dense_reg']}"
            )
        self.settings()

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the roles of the lineage, oldest first."""
        return tuple(entry["role"] for entry in self.lineage)

    @property
    def module_name(self) -> str:
        """Return the module in words, such as ``Module 1 (dense_reg)``."""
        return MODULE_NAMES[self.module]

    def settings(self) -> TrainConfig:
        """Return the training configuration as its dataclass; raises ValueError if that fails."""
        cls = DenseConfig if self.module == "dense_reg" else MatchConfig
        try:
            made = from_json(cls, json.dumps(self.config))
            check_types(made)
            return made
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"its config is not a {cls.__name__}: {shortened(str(error), 200)}"
            ) from error


def check_types(record: Any) -> None:
    """Raise ValueError for a field of a dataclass whose value is not of its type."""
    hints = get_type_hints(type(record))
    for one in dataclasses.fields(record):
        value, hint = getattr(record, one.name), hints[one.name]
        if not _is_of(value, hint):
            raise ValueError(f"{one.name} is {value!r:.60}, expected {one.type}")
        if dataclasses.is_dataclass(value):
            check_types(value)


def _is_of(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_is_of(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return (
            isinstance(value, tuple) and len(kinds) == len(value) and all(map(_is_of, value, kinds))
        )
    if origin is dict:
        return isinstance(value, dict) and all(
            _is_of(k, inner[0]) and _is_of(v, inner[1]) for k, v in value.items()
        )
    if hint is Any:
        return True
    if hint is float:
        return type(value) in (int, float)
    # To Python True is an int, but it is no number of layers.
    return type(value) is hint


def link_to(path: Path, meta: Metadata, how: str = "") -> dict[str, str]:
    """Return the entry by which a lineage names the checkpoint at ``path``, whose record is given.

    Raises FileNotFoundError.
    """
    module = "Module 1" if meta.module == "dense_reg" else "Module 2"
    note = f"{module}, epoch {meta.epoch}" + (f", {how}" if how else "")
    # The name alone: folders differ between machines, the sha256 does not.
    return {"role": meta.module, "file": path.name, "sha256": sha256_of(path), "note": note}


def metadata_to_json(meta: Metadata) -> str:
    """Serialise; equal metadata give equal text, so that equal checkpoints give equal files."""
    return json.dumps(dataclasses.asdict(meta), sort_keys=True)


def metadata_from_json(text: str) -> Metadata:
    """Rebuild from :func:`metadata_to_json`'s text; raises ValueError if it is something else."""
    try:
        values = parse_json(text, finite=False)  # a metric can be NaN
        config, lineage = grouped(values["config"]), tuple(values["lineage"])
        return Metadata(**{**values, "config": config, "lineage": lineage})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"its metadata are of another version of ifvit: {error}") from error
