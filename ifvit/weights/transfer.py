"""The golden rule: Module 2 starts from the transformer that Module 1 trained.

Each way to break it raises ValueError or FileNotFoundError before the first training step.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ifvit.config import MatchConfig, ModelConfig
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.weights.checkpoint import expect_module, load_dense, load_weights
from ifvit.weights.metadata import HOW_TO_GET, Metadata, link_to
from ifvit.weights.modules import BOTH_MODULES, differences
from ifvit.weights.pretrained import module1_file
from ifvit.weights.storage import foreign_kind
from ifvit.weights.tensors import check_copied, parameter_arrays

LOG = logging.getLogger("ifvit")

TRANSFORMER_FIELDS = (
    "use_loftr",
    "d_model",
    "num_layers",
    "num_heads",
    # Not shapes, but the meaning of trained weights: where a token lies, how large a ridge is.
    "temp_bug_fix",
    "ppi",
)


COPIED_TO = "loftr_transformer_global"
"""The matcher's transformer, named after the method's global branch."""


@dataclass(frozen=True)
class TransferReport:
    """What was copied from Module 1 into Module 2."""

    found: str
    """The source, in words."""
    num_arrays: int
    """Arrays of Module 1's transformer."""
    num_params: int
    """Parameters of Module 1's transformer."""
    lineage: tuple[dict[str, str], ...]
    """The lineage that Module 2's checkpoints must carry: Module 1's own, then Module 1."""


def require_module1(config: MatchConfig) -> Path | None:
    """Check, before anything is built, that Module 2 has a Module 1 to start from.

    Returns the checkpoint's path, or None with ``from_scratch``. Raises ValueError if neither or
    both are given, or if the file is LoFTR's, of Module 2, or of another transformer;
    FileNotFoundError if there is no such file.
    """
    start = config.start
    if start.from_scratch and start.pretrained_ckpt is not None:
        raise ValueError(
            f"pretrained_ckpt={start.pretrained_ckpt} and from_scratch=True contradict each "
            "other: drop --from-scratch to start from Module 1"
        )
    if start.from_scratch:
        return None
    if start.pretrained_ckpt is None:
        raise ValueError(
            "Module 2 starts from Module 1's transformer, but pretrained_ckpt is not set: pass "
            f"--pretrained-ckpt, {HOW_TO_GET['dense_reg']}, or --from-scratch to do without "
            "(the checkpoint will say so)"
        )
    path = module1_file(start.pretrained_ckpt)
    _check_same_transformer(path, _module1_metadata(path), config.model)
    return path


def scratch_lineage() -> tuple[dict[str, str], ...]:
    """Return the lineage of a Module 2 that was explicitly started without Module 1."""
    note = "started at random with --from-scratch: the Module 1 link was skipped"
    return ({"role": "scratch", "file": "", "sha256": "", "note": note},)


def load_module1_transformer_weights(
    matcher: MatcherModel, dense_ckpt_path: str | Path
) -> TransferReport:
    """Copy Module 1's trained transformer into the matcher, in place.

    ResNet18 and the heads keep their random start, as in the published method.
    Raises FileNotFoundError, and ValueError for each mistake named above and where the copy is not
    exactly what the checkpoint holds.
    """
    path = Path(dense_ckpt_path)
    _check_same_transformer(path, _module1_metadata(path), matcher.config)
    dense, meta = load_dense(path)
    if other := differences(dense.config, matcher.config, BOTH_MODULES):
        LOG.warning("`ifvit match` will refuse both together: %s", "; ".join(other.values()))
    source = nnx.state(dense.loftr_transformer, nnx.Param)
    arrays = parameter_arrays(dense.loftr_transformer)
    # A copy: two modules on one buffer could not be donated to a compiled step.
    nnx.update(matcher.loftr_transformer_global, jax.tree.map(jnp.copy, source))
    check_copied(path, arrays, matcher.loftr_transformer_global, COPIED_TO)
    report = _report(path, meta, arrays)
    LOG.info("found %s", report.found)
    LOG.info(
        "copied %d arrays, %d parameters, to %s",
        report.num_arrays,
        report.num_params,
        COPIED_TO,
    )
    return report


def load_module1_backbone_weights(matcher: MatcherModel, dense_ckpt_path: str | Path) -> int:
    """Copy Module 1's ResNet18 and DenseMatchingHead too, in place; the method does not do this.

    Returns the number of parameters. Raises as :func:`load_module1_transformer_weights`, and
    ValueError where the backbones differ in width.
    """
    path = Path(dense_ckpt_path)
    dense, meta = load_dense(path)
    widths, wanted = meta.settings().model.backbone_widths, matcher.config.backbone_widths
    if widths != wanted:
        raise ValueError(
            f"the backbone of {path} does not fit this Module 2: backbone_widths is {widths} in "
            f"Module 1 and {wanted} in Module 2; set model.backbone_widths alike"
        )
    copied = 0
    for part in ("ResNet18", "DenseMatchingHead"):
        source, target = getattr(dense, part), getattr(matcher, part)
        nnx.update(target, jax.tree.map(jnp.copy, nnx.state(source)))
        arrays = parameter_arrays(source)
        check_copied(path, arrays, target, part)
        copied += sum(array.size for array in arrays.values())
    LOG.info("copied %d parameters of Module 1's ResNet18 and DenseMatchingHead as well", copied)
    return copied


def load_module1_start(
    model: DenseRegModel, dense_ckpt_path: str | Path
) -> tuple[dict[str, str], ...]:
    """Fill Module 1 with an earlier Module 1 to train on from; return the lineage it then has.

    The size of the canvas may differ, since no weight depends on it. So the first part of a
    training can use a small canvas, at a fraction of the cost.
    Raises FileNotFoundError, and ValueError where the two have different settings or the file is
    that of another module.
    """
    path = module1_file(dense_ckpt_path)
    meta = _module1_metadata(path)
    found = differences(meta.settings().model, model.config, ("there", "here"))
    found.pop("canvas", None)
    if found:
        raise ValueError(
            f"training cannot go on from {path}: {'; '.join(found.values())}; give the same "
            "model.*, or the same --preset"
        )
    load_weights(path, model, start=True)
    LOG.info("starting from all of Module 1, epoch %d, in %s", meta.epoch, path)
    return (*meta.lineage, link_to(path, meta, "trained on from here"))


def _report(path: Path, meta: Metadata, arrays: dict[str, np.ndarray]) -> TransferReport:
    return TransferReport(
        found=f"loftr_transformer of Module 1, epoch {meta.epoch}, in {path}",
        num_arrays=len(arrays),
        num_params=sum(array.size for array in arrays.values()),
        lineage=(*meta.lineage, link_to(path, meta)),
    )


def _module1_metadata(path: Path) -> Metadata:
    """Metadata of the Module 1 checkpoint at ``path``, or the error that names the way out."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist: expected Module 1's checkpoint, {HOW_TO_GET['dense_reg']}"
        )
    if path.is_file() and foreign_kind(path) == "loftr":
        raise ValueError(
            f"{path} holds converted LoFTR weights, which Module 2 never loads directly: train "
            f"Module 1 with them first (its loftr_pretrained_ckpt), and pass "
            f"{HOW_TO_GET['dense_reg']}"
        )
    return expect_module(path, "dense_reg")


def _check_same_transformer(path: Path, meta: Metadata, model: ModelConfig) -> None:
    dense = meta.settings().model
    found = differences(dense, model, BOTH_MODULES, TRANSFORMER_FIELDS)
    if found:
        wanted = ", ".join(f"model.{name}={getattr(dense, name)}" for name in found)
        raise ValueError(
            f"the transformer of {path} does not fit this Module 2: {'; '.join(found.values())}; "
            f"set {wanted} for Module 2 (or use the same --preset), or train Module 1 again"
        )
