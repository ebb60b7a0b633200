"""Both modules together: which belong to each other, and may be loaded as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ifvit.config import ModelConfig
from ifvit.files import sha256_of
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.weights.checkpoint import load_dense, load_matcher
from ifvit.weights.metadata import Metadata


def load_modules(
    dense_ckpt: str | Path, matcher_ckpt: str | Path
) -> tuple[tuple[DenseRegModel, Metadata], tuple[MatcherModel, Metadata]]:
    """Build both modules, which must belong together.

    The matcher must come from this Module 1 checkpoint, or from one that this Module 1 was trained
    on from (``--init-from``) or exported from. A matcher trained ``--from-scratch`` goes with any
    Module 1. Raises as :func:`load_weights`, and ValueError where ``dense_ckpt`` is not in the
    matcher's lineage.
    """
    dense, dense_meta = load_dense(dense_ckpt)
    matcher, meta = load_matcher(matcher_ckpt)
    sha256 = sha256_of(dense_ckpt)
    ancestors = {entry["sha256"]: entry["file"] for entry in meta.lineage}
    origin = [entry["sha256"] for entry in meta.lineage if entry["role"] == "dense_reg"]
    trained_on = {entry["sha256"] for entry in dense_meta.lineage} & set(origin[-1:])
    if not (sha256 in ancestors or trained_on or "scratch" in meta.roles):
        known = ", ".join(f"{file} ({key[:12]})" for key, file in ancestors.items())
        raise ValueError(
            f"{matcher_ckpt} was not trained from {dense_ckpt} (sha256 {sha256[:12]}): its "
            f"lineage names {known or 'nothing'}; pass the Module 1 checkpoint it was trained "
            f"from, or one trained on from that with --init-from, or train Module 2 again with "
            f"--pretrained-ckpt {dense_ckpt}"
        )
    return (dense, dense_meta), (matcher, meta)


BOTH_MODULES = "in Module 1", "in Module 2"


def differences(
    first: ModelConfig, second: ModelConfig, where: tuple[str, str], names: Sequence[str] = ()
) -> dict[str, str]:
    """Return the settings that two models do not share, each with its values in words.

    ``where`` says which model is which; ``names`` are the settings that count, all if none are
    given.
    """
    both = asdict(first), asdict(second)
    return {
        name: f"{name} is {both[0][name]} {where[0]} and {both[1][name]} {where[1]}"
        for name in names or both[0]
        if both[0][name] != both[1][name]
    }


def check_same_shape(dense: DenseRegModel, matcher: MatcherModel) -> None:
    """Raise ValueError where the two modules have different ``ModelConfig``."""
    if dense.config != matcher.config:
        found = differences(dense.config, matcher.config, BOTH_MODULES)
        raise ValueError(
            f"Module 1 and Module 2 have different shapes: {'; '.join(found.values())}; pass the "
            "Module 1 checkpoint that Module 2 was trained from, and train both with the same "
            "model.*, or the same --preset"
        )
