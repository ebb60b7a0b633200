"""The commands that make something: prints, weights converted or released, modules, the demo."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from ifvit.config import DenseConfig, MatchConfig, ModelConfig
from ifvit.dataset_spec import DatasetSpec
from ifvit.files import check_folder, check_output
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS


@dataclass(frozen=True)
class SynthArgs:
    """Make a synthetic data set: FVC-named PNGs, manifest.csv and contact_sheet.png."""

    out: str
    """Folder to write to."""
    spec: Annotated[DatasetSpec, tyro.conf.arg(name="")] = field(default_factory=DatasetSpec)


@dataclass(frozen=True)
class ConvertArgs:
    """Convert LoFTR's PyTorch weights to the .npz that Module 1 starts from."""

    pytorch_ckpt: str
    """LoFTR's checkpoint, such as outdoor_ds.ckpt. Its tensors are read; nothing in it is run."""
    output: str = "loftr_transformer.npz"
    prefix: str | None = None
    """What stands before layers.N.* in the checkpoint, where it is not one of the known layouts."""
    num_heads: int | None = None
    """Attention heads, which the tensors do not tell; known for the released shape."""
    temp_bug_fix: bool | None = None
    """The sine encoding that the weights were trained with: False for the released outdoor_ds and
    indoor_ds, True for indoor_ds_new."""


@dataclass(frozen=True)
class InspectArgs:
    """Show a checkpoint's tree, counts, config, epoch, metrics and lineage.

    Exit code 2 if the file is not usable.
    """

    ckpt: Annotated[str, tyro.conf.Positional]


@dataclass(frozen=True)
class ReleaseArgs:
    """Write a trained pair in half precision, with graphs, record and model card: to share."""

    dense_ckpt: str
    matcher_ckpt: str
    out: str
    """Folder to write to."""
    name: str | None = None
    """What the weights are called; the folder's name if not given."""
    licence: str = "Apache-2.0"
    """SPDX identifier of the weights' licence."""
    summary: str | None = None
    """What they are, in a line; made from the settings if not given."""
    card: str | None = None
    """A model card in Markdown, without metadata; made from what the files tell if not given."""


@dataclass(frozen=True)
class RunsArgs:
    """List the training runs in a folder and below: how far, how good, what differs."""

    folder: Annotated[str, tyro.conf.Positional] = "checkpoints"


@dataclass(frozen=True)
class DemoArgs:
    """Run the golden path on synthetic prints and write a report."""

    out: str = "demo"
    """Folder for checkpoints, prints, pictures and the report."""
    seed: int = 0


def run_synth(args: SynthArgs) -> None:
    """Write the data set and its contact sheet."""
    from tqdm import tqdm

    from ifvit.data.images import read_image
    from ifvit.synthesis.dataset import write_dataset
    from ifvit.viz.sheet import contact_sheet

    def progress(items: Any, total: int) -> Any:
        return tqdm(items, "prints", total=total, unit="print")

    check_folder(args.out)
    paths = write_dataset(args.out, args.spec, progress)
    sheet = Path(args.out) / "contact_sheet.png"
    shown = paths[: 8 * args.spec.impressions]
    columns = args.spec.impressions
    contact_sheet([read_image(p) for p in shown], [p.stem for p in shown], sheet, columns)
    print(f"{len(paths)} prints in {args.out}; see {sheet}")


def run_train_dense(config: DenseConfig) -> None:
    """Train Module 1."""
    from ifvit.training.dense import train_dense

    path = train_dense(config)
    own = model_options(config.model, {k: v.model for k, v in MATCH_PRESETS.items()})
    if config.dataset_root != "synthetic":
        # Without it Module 2 would be trained on other prints, and say nothing of it.
        own += f" --dataset-root {quoted(config.dataset_root)}"
    print(f"Module 1 is in {path}\nnext: ifvit train-match{own} --pretrained-ckpt {quoted(path)}")


def run_train_match(config: MatchConfig) -> None:
    """Train Module 2."""
    from ifvit.training.match import train_match

    path = train_match(config)
    dense = config.pretrained_ckpt or "CKPT"
    print(f"Module 2 is in {path}")
    print(f"next: ifvit match A B --dense-ckpt {quoted(dense)} --matcher-ckpt {quoted(path)}")


def run_convert(args: ConvertArgs) -> None:
    """Convert LoFTR's weights."""
    from ifvit.weights.convert import convert_loftr

    check_output(args.output, "--output")
    arrays, record = convert_loftr(
        args.pytorch_ckpt,
        args.output,
        prefix=args.prefix,
        num_heads=args.num_heads,
        temp_bug_fix=args.temp_bug_fix,
    )
    print(f"{record.summary(arrays)}, in {args.output}")
    usual = ModelConfig()
    model = replace(
        usual,
        d_model=record.d_model,
        num_layers=record.num_layers,
        num_heads=record.num_heads or usual.num_heads,
        temp_bug_fix=record.temp_bug_fix,
    )
    own = model_options(model, {k: v.model for k, v in DENSE_PRESETS.items()})
    print(f"next: ifvit train-dense{own} --loftr-pretrained-ckpt {quoted(args.output)}")


def model_options(model: ModelConfig, presets: dict[str, ModelConfig]) -> str:
    """Return the options by which a command gets this very model, with a blank before each."""
    named = next((name for name, known in presets.items() if known == model), None)
    if named is not None:
        return "" if named == "paper" else f" --preset {named}"
    options = ""
    for one in fields(ModelConfig):
        value, name = getattr(model, one.name), one.name.replace("_", "-")
        if value == getattr(presets["paper"], one.name):
            continue
        if isinstance(value, bool):
            options += f" --model.{'' if value else 'no-'}{name}"
        else:
            values = value if isinstance(value, tuple) else (value,)
            options += f" --model.{name} {' '.join(map(str, values))}"
    return options


def quoted(path: str | Path) -> str:
    """Return a path as a shell takes it for one word."""
    return shlex.quote(str(path))


def run_inspect(args: InspectArgs) -> None:
    """Describe a checkpoint."""
    from ifvit.weights.describe import describe

    print(describe(args.ckpt))


def run_release(args: ReleaseArgs) -> None:
    """Write a pair of modules to ship."""
    from ifvit.export.release import export_pair

    record = export_pair(
        args.dense_ckpt,
        args.matcher_ckpt,
        args.out,
        name=args.name,
        licence=args.licence,
        summary=args.summary,
        card=args.card,
    )
    for name, value in asdict(record).items():
        print(f"{name:<14} {value}")
    size = sum(path.stat().st_size for path in Path(args.out).glob("*.safetensors"))
    print(f"{size / 1e6:.1f} MB of weights and their record are in {args.out}")


def run_runs(args: RunsArgs) -> None:
    """List runs."""
    from ifvit.training.history import runs_below, summary

    print(summary(runs_below(args.folder)))


def run_demo(args: DemoArgs) -> None:
    """Run the demo."""
    from ifvit.demo import demo

    demo(args.out, args.seed)
