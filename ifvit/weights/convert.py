"""LoFTR's PyTorch checkpoints to the ``.npz`` that Module 1 starts from.

The coarse transformer of Sun et al. (CVPR 2021) is converted. Backbone and fine level are left out:
prints are not photographs, and Module 1's backbone learns from prints.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ifvit.files import check_exists, check_output, guarded, is_stream, keep_earlier, sha256_of
from ifvit.models.tokens import position_encoding
from ifvit.weights.loftr import LoFTRRecord, LoFTRWeights, transformer_shapes, write_loftr
from ifvit.weights.pytorch import read_state_dict, some_of
from ifvit.weights.tensors import tensor_problems

logger = logging.getLogger("ifvit")

TABLE = {
    "q_proj.weight": "q_proj/kernel",
    "k_proj.weight": "k_proj/kernel",
    "v_proj.weight": "v_proj/kernel",
    "merge.weight": "merge/kernel",
    "mlp.0.weight": "mlp/layers/0/kernel",
    "mlp.2.weight": "mlp/layers/2/kernel",
    "norm1.weight": "norm1/scale",
    "norm1.bias": "norm1/bias",
    "norm2.weight": "norm2/scale",
    "norm2.bias": "norm2/bias",
}
"""LoFTR's names within a layer, and ours. A ``kernel`` is the transpose: PyTorch's linear layer
keeps (out, in), Flax's (in, out)."""

IN_LAYER = re.compile(r"(.*?)layers\.(\d+)\.(.+)")
RELEASED_HEADS = {(8, 256): 8}
"""Heads of the released models, by layers and width (LoFTR's default configuration)."""


def convert_loftr(
    pytorch_ckpt: str | Path,
    output: str | Path,
    *,
    prefix: str | None = None,
    num_heads: int | None = None,
    temp_bug_fix: bool | None = None,
) -> LoFTRWeights:
    """Convert a LoFTR checkpoint's coarse transformer to ``output``; return what was written.

    ``prefix`` is where the transformer is, if not where the known layouts have it. ``num_heads``
    and ``temp_bug_fix`` state what the tensors do not show. An earlier ``output`` is kept under
    another name. Raises FileNotFoundError, and ValueError for a file that PyTorch cannot read as
    plain tensors, that holds no LoFTR transformer or several, or one whose tensors are not exactly
    LoFTR's, all of them listed; nothing is then written.
    """
    source, output = Path(pytorch_ckpt), Path(output)
    check_exists(source, "a PyTorch checkpoint of LoFTR")
    if output.is_dir():
        raise ValueError(f"{output} is a folder: expected the .npz file to write")
    with guarded([source]):
        check_output(output, "--output")
    logger.info("reading %s (%.1f MB)", source, source.stat().st_size / 1e6)
    digest = sha256_of(source, progress=True)
    tensors = read_state_dict(source)
    found = find_prefix(source, tensors, prefix)
    # Tensors beside the layers are foreign to LoFTR and refused, except in the root of a file.
    own = found or "layers."
    coarse = {k: t for k, t in tensors.items() if k.startswith(own) and not _is_encoding(k)}
    arrays, layers, width = convert_arrays(source, found, coarse)
    if num_heads is not None and (num_heads < 1 or width % num_heads):
        raise ValueError(f"num_heads is {num_heads}: expected a divisor of the width, {width}")
    encoding, encoding_from = _encoding(source, tensors, width, temp_bug_fix)
    record = LoFTRRecord(
        source_file=source.name,
        source_sha256=digest,
        prefix=found,
        num_layers=layers,
        d_model=width,
        num_heads=num_heads or RELEASED_HEADS.get((layers, width)),
        temp_bug_fix=encoding,
        temp_bug_fix_from=encoding_from,
    )
    if not is_stream(output):
        keep_earlier(output)
    write_loftr(output, LoFTRWeights(arrays, record))
    _report(tensors, coarse, record)
    return LoFTRWeights(arrays, record)


def find_prefix(path: Path, names: Iterable[str], wanted: str | None = None) -> str:
    """Return the prefix of ``layers.N.*`` of the coarse transformer, such as ``""``.

    Raises ValueError where there is no such transformer, or where several could be meant.
    """
    matches = filter(None, map(IN_LAYER.fullmatch, names))
    known = sorted({m[1] for m in matches if m[3] in TABLE})
    listed = ", ".join(repr(prefix) for prefix in known)
    if wanted is not None:
        prefix = wanted if not wanted or wanted.endswith(".") else f"{wanted}."
        if prefix not in known:
            raise ValueError(
                f"{path} holds no LoFTR layers under the prefix {prefix!r}: "
                f"expected one of {listed or 'none, there are no such layers at all'}"
            )
        return prefix
    coarse = [prefix for prefix in known if prefix.split(".")[-2:-1] == ["loftr_coarse"]]
    choice = coarse or [prefix for prefix in known if "loftr_fine" not in prefix]
    if not choice:
        raise ValueError(
            f"{path} holds no LoFTR transformer: looked for layers.N.q_proj.weight and its like, "
            f"found {some_of(names)}; a transformer with other names cannot be converted"
        )
    if len(choice) > 1:
        raise ValueError(f"{path} holds several transformers, {listed}: choose by --prefix")
    return choice[0]


def convert_arrays(
    path: Path, prefix: str, coarse: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], int, int]:
    """Rename and transpose the tensors under ``prefix``; return them, the layers and the width.

    Raises ValueError that lists every tensor that is missing, left over or of another shape, by its
    name in the file.
    """
    numbers = [int(m[2]) for name in coarse if (m := IN_LAYER.fullmatch(name)) and m[1] == prefix]
    # A number of layers above that of the tensors is forged, and would give a long list.
    layers = min(max(numbers) + 1, len(coarse))
    widths = Counter(
        t.shape[-1] for n, t in coarse.items() if n.endswith("norm1.weight") and t.ndim
    )
    if not widths:
        raise ValueError(f"{path} has no norm1.weight under {prefix!r}: it is not LoFTR's layer")
    width = widths.most_common(1)[0][0]
    shapes = transformer_shapes(width, layers)
    places = {
        f"{prefix}layers.{layer}.{theirs}": f"layers/{layer}/{ours}"
        for layer in range(layers)
        for theirs, ours in TABLE.items()
    }
    assert set(places.values()) == set(shapes), "the table names every parameter of a layer"
    # Reversed is transposed, and a vector stays what it is.
    problems = tensor_problems({name: shapes[at][::-1] for name, at in places.items()}, coarse)
    if problems:
        raise ValueError(
            f"{path} does not hold LoFTR's coarse transformer under {prefix!r}, {layers} layers of "
            f"width {width}: {'; '.join(problems)}"
        )
    return {at: np.ascontiguousarray(coarse[name].T) for name, at in places.items()}, layers, width


def _is_encoding(name: str) -> bool:
    """Return whether a tensor is a sine table, which some files hold and which is no parameter."""
    return name.split(".")[-1] == "pe"


def _encoding(
    path: Path, tensors: Mapping[str, np.ndarray], width: int, stated: bool | None
) -> tuple[bool, str]:
    """Return the ``temp_bug_fix`` of the weights, and how it is known."""
    if stated is not None:
        return stated, "stated"
    for name, tensor in tensors.items():
        if _is_encoding(name) and tensor.ndim == 4 and tensor.shape[1] == width:
            h, w = min(tensor.shape[2], 8), min(tensor.shape[3], 8)
            for fixed in (True, False):
                own = position_encoding(h, w, width, fixed).transpose(2, 0, 1)
                if np.allclose(tensor[0, :, :h, :w], own, atol=1e-3):
                    return fixed, "read"
    logger.info(
        "%s does not say its position encoding: assumed temp_bug_fix=False, that of the released "
        "outdoor_ds and indoor_ds; for indoor_ds_new and others give --temp-bug-fix",
        path,
    )
    return False, "assumed"


def _report(
    tensors: Mapping[str, np.ndarray], coarse: Mapping[str, np.ndarray], record: LoFTRRecord
) -> None:
    rest = [name.removeprefix("matcher.").split(".")[0] for name in tensors if name not in coarse]
    if rest:
        counts = ", ".join(f"{part} {number}" for part, number in Counter(rest).items())
        logger.info("left out, %d tensors: %s", len(rest), counts)
    heads = "heads not known" if record.num_heads is None else f"{record.num_heads} heads"
    how = f"temp_bug_fix={record.temp_bug_fix} ({record.temp_bug_fix_from})"
    logger.info("%s, %s", heads, how)
