"""``ifvit synth``: a synthetic data set and a sheet that shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from ifvit.dataset_spec import DatasetSpec
from ifvit.files import check_folder


@dataclass(frozen=True)
class Settings:
    """Make a synthetic data set: FVC-named PNGs, manifest.csv and contact_sheet.png."""

    out: str
    """Folder to write to."""
    spec: Annotated[DatasetSpec, tyro.conf.arg(name="")] = field(default_factory=DatasetSpec)


def run(settings: Settings) -> None:
    """Write the data set and its contact sheet."""
    from tqdm import tqdm

    from ifvit.data.images import read_image
    from ifvit.synthesis.dataset import write_dataset
    from ifvit.viz.sheet import contact_sheet

    def progress(items: Any, total: int) -> Any:
        return tqdm(items, "prints", total=total, unit="print")

    out, columns = settings.out, settings.spec.impressions
    check_folder(out)
    sheet = Path(out) / "contact_sheet.png"

    def overview(paths: list[Path]) -> None:
        shown = paths[: 8 * columns]
        contact_sheet([read_image(p) for p in shown], [p.stem for p in shown], sheet, columns)

    paths = write_dataset(out, settings.spec, progress, overview)
    print(f"{len(paths)} prints in {out}; see {sheet}")
