"""A synthetic data set on disk: FVC-named 8-bit PNGs at 500 ppi, a manifest, maps on request."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt8
from PIL import Image, PngImagePlugin

from ifvit.config import REFERENCE_PPI
from ifvit.dataset_spec import DatasetSpec
from ifvit.files import write_result, write_text
from ifvit.jax_settings import usual_promotion
from ifvit.synthesis.draw import SENSORS, ImpressionParams, draw_impression
from ifvit.synthesis.impression import to_master
from ifvit.synthesis.master import Master, finger_key, make_masters
from ifvit.synthesis.orientation import CLASSES
from ifvit.synthesis.scale import own_period, people_period, period_between
from ifvit.synthesis.sensor import Impression, frame_points, render

MADE_BY = "ifvit synth"
"""The text that names a print's origin in its file, so that no other file is overwritten."""

MANIFEST_FIELDS = (
    "file",
    "finger",
    "impression",
    "pattern",
    "sensor",
    "rotation_deg",
    "seed",
    "ppi",
)


@usual_promotion()
def draw_print(
    spec: DatasetSpec, finger: Int[Array, ""] | int, impression: Int[Array, ""] | int
) -> ImpressionParams:
    """Draw the impression of a finger that a data set has; both numbers are the generator's."""
    key = finger_key(spec.seed, finger)
    params = draw_impression(key, impression, hard=spec.hard)
    if spec.people:
        return params._replace(zoom=people_period(key) / own_period(key))
    if spec.period_px is not None:
        return params._replace(zoom=period_between(key, spec.period_px) / own_period(key))
    return params


@usual_promotion()
@partial(jax.jit, static_argnames="spec")
def _impressions(
    masters: Master, finger: Int[Array, ""], count: Int[Array, " I"], *, spec: DatasetSpec
) -> tuple[ImpressionParams, Impression]:
    params = jax.vmap(lambda i: draw_print(spec, finger, i))(count)
    shape = (spec.height, spec.width)
    return params, jax.vmap(lambda p: render(masters, p, shape))(params)


def make_dataset(
    spec: DatasetSpec,
) -> Iterator[tuple[int, int, Master, ImpressionParams, Impression]]:
    """Yield (finger, impression, master, parameters, rendered impression), both counted from 0."""
    for finger in range(spec.fingers):
        number = jnp.asarray(spec.first_finger + finger)
        masters = make_masters(spec.seed, number[None])
        master = Master(*(a[0] for a in masters))
        count = jnp.arange(spec.impressions)
        params, made = _impressions(master, number, count, spec=spec)
        for i in range(spec.impressions):
            yield finger, i, master, *jax.tree.map(lambda a: a[i], (params, made))  # noqa: B023


@usual_promotion()
def write_dataset(
    out: str | Path,
    spec: DatasetSpec,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda items, total: items,
    overview: Callable[[list[Path]], object] = lambda paths: None,
) -> list[Path]:
    """Write a data set to the folder ``out`` and return the prints' paths.

    ``overview`` is called with them before the table is written, without which a set is not
    finished. Raises ValueError where ``out`` holds a data set already, or prints that this one does
    not have. Files of a run that was stopped are written again; those of another origin are kept
    under another name.
    """
    out = Path(out)
    _check_place(out, spec)
    rows, paths = [], []
    items = make_dataset(spec)
    for finger, impression, master, params, made in progress(
        items, spec.fingers * spec.impressions
    ):
        name = f"{finger + 1}_{impression + 1}"
        path = out / f"{name}.png"
        grey = np.round(np.asarray(made.image) * 255).astype(np.uint8)
        write_result(path, _png(grey), MADE_BY.encode())
        if spec.maps:
            _write_map(out / "maps" / f"{name}.npz", params, made, (spec.height, spec.width))
        rows.append(_manifest_row(path.name, finger, impression, master, params, spec))
        paths.append(path)
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, MANIFEST_FIELDS)
    writer.writeheader()
    writer.writerows(rows)
    overview(paths)
    # Last: a folder without it is not finished.
    write_text(out / "manifest.csv", table.getvalue())
    return paths


def _check_place(out: Path, spec: DatasetSpec) -> None:
    """Raise ValueError where a folder holds a data set, or prints of a larger one.

    A run that was stopped may have left them, and they would be read as prints of this set.
    """
    if (out / "manifest.csv").exists():
        raise ValueError(f"{out} holds a data set already: give another --out, or remove it first")
    for path in sorted(out.glob("*_*.png")):
        finger, _, impression = path.stem.partition("_")
        if not (finger.isdecimal() and impression.isdecimal()):
            continue
        if int(finger) > spec.fingers or int(impression) > spec.impressions:
            raise ValueError(
                f"{out} holds prints of a larger set, such as {path.name}: give another --out, or "
                "remove them first"
            )


def _png(grey: UInt8[np.ndarray, "H W"]) -> bytes:
    origin, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    origin.add_text("Software", MADE_BY)
    ppi = REFERENCE_PPI, REFERENCE_PPI
    Image.fromarray(grey).save(buffer, format="png", dpi=ppi, pnginfo=origin)
    return buffer.getvalue()


def _manifest_row(
    file: str,
    finger: int,
    impression: int,
    master: Master,
    params: ImpressionParams,
    spec: DatasetSpec,
) -> dict[str, Any]:
    return {
        "file": file,
        "finger": finger + 1,
        "impression": impression + 1,
        "pattern": CLASSES[int(master.pattern)],
        "sensor": SENSORS[int(params.sensor)],
        "rotation_deg": round(float(np.rad2deg(params.rotation)), 2),
        "seed": spec.seed,
        "ppi": REFERENCE_PPI,
    }


def _write_map(path: Path, params: ImpressionParams, made: Impression, shape: tuple) -> None:
    on_master = to_master(params, frame_points(shape), shape)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, to_master=np.asarray(on_master, np.float32), contact=np.asarray(made.contact)
    )
    write_result(path, buffer.getvalue(), b"to_master.npy")
