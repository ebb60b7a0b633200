"""The metadata of an exported graph, and which graphs and checkpoints belong together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ifvit.config import DenseConfig, ModelConfig
from ifvit.files import sha256_of
from ifvit.weights.settings import from_json
from ifvit.weights.storage import graph_file

HOW_TO_GET = "the folder that `ifvit export-onnx` writes"


@dataclass(frozen=True)
class GraphRecord:
    """The metadata of one graph; each field is a text entry of its own in the file."""

    graph: str
    """``backbone``, ``dense``, ``pose`` or ``code``."""
    module: str
    """``dense_reg`` or ``matcher``: the module whose parameters the graph holds."""
    dense_sha256: str
    """The sha256 of Module 1's checkpoint, which was exported together with Module 2's."""
    matcher_sha256: str
    """The sha256 of Module 2's checkpoint."""
    config: str
    """The settings of the module's training, as JSON."""
    licence: str
    """SPDX identifier of the weights' licence."""
    version: str
    """The version of ifvit that wrote the graph."""

    def to_metadata(self) -> dict[str, str]:
        """Return the record as ONNX keeps it."""
        return asdict(self)

    @classmethod
    def from_metadata(cls, path: Path, found: Mapping[str, str]) -> GraphRecord:
        """Read a record; raises ValueError for metadata that ifvit did not write for this graph."""
        missing = [field.name for field in fields(cls) if field.name not in found]
        if missing:
            raise ValueError(
                f"{path} is no graph of ifvit: its metadata lack {', '.join(missing)}; expected "
                f"one in {HOW_TO_GET}"
            )
        record = cls(**{field.name: found[field.name] for field in fields(cls)})
        expected = path.stem
        if record.graph != expected:
            raise ValueError(
                f"{path} holds the graph {record.graph!r}, expected {expected!r}: leave the names "
                "in the folder as `ifvit export-onnx` wrote them"
            )
        return record

    def dense_settings(self) -> DenseConfig:
        """Return the settings of Module 1's training, from the record of one of its graphs.

        Raises ValueError where another version of ifvit wrote settings that cannot be read.
        """
        try:
            made = from_json(DenseConfig, self.config)
            assert isinstance(made, DenseConfig)
            return made
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._foreign(error) from error

    def model_config(self) -> ModelConfig:
        """Return the shape of the networks, which is all of the settings that matching needs.

        Raises ValueError where another version of ifvit wrote settings that cannot be read.
        """
        try:
            model = json.loads(self.config)["model"]
            return ModelConfig(**model | {"backbone_widths": tuple(model["backbone_widths"])})
        except (KeyError, TypeError, ValueError) as error:
            raise self._foreign(error) from error

    def check_outputs(
        self, folder: Path, found: tuple[str, ...], expected: tuple[str, ...]
    ) -> None:
        """Raise ValueError where the graph in ``folder`` has other outputs than expected."""
        if found != expected:
            gives = f"it gives {', '.join(found)}, expected {', '.join(expected)}"
            raise self._foreign(gives, folder)

    def _foreign(self, reason: Exception | str, folder: Path = Path()) -> ValueError:
        return ValueError(
            f"{graph_file(folder, self.graph)} was written by another version of ifvit "
            f"({self.version}): write it again by `ifvit export-onnx` ({reason})"
        )


def check_together(
    folder: Path,
    records: Sequence[GraphRecord],
    dense_ckpt: str | Path | None = None,
    matcher_ckpt: str | Path | None = None,
) -> None:
    """Raise ValueError unless all graphs come from one export, and from the given checkpoints.

    Raises FileNotFoundError for a missing checkpoint.
    """
    first = records[0]
    for other in records[1:]:
        for name in ("dense_sha256", "matcher_sha256"):
            if getattr(other, name) != getattr(first, name):
                raise ValueError(
                    f"{graph_file(folder, other.graph)} and {graph_file(folder, first.graph)} do "
                    f"not belong together: {name} is {getattr(other, name)[:12]} in one and "
                    f"{getattr(first, name)[:12]} in the other; export both again by `ifvit "
                    "export-onnx`"
                )
    for name, checkpoint in (("dense_sha256", dense_ckpt), ("matcher_sha256", matcher_ckpt)):
        if checkpoint is None:
            continue
        sha256 = sha256_of(checkpoint)
        if sha256 != getattr(first, name):
            raise ValueError(
                f"the graphs in {folder} were not exported from {checkpoint} (sha256 "
                f"{sha256[:12]}): they name {getattr(first, name)[:12]}; give the checkpoint that "
                "they came from, or export it by `ifvit export-onnx`"
            )
