"""The command line: ``ifvit COMMAND``, a shadow of the configuration dataclasses.

Every error that a user can cause is one line on standard error and exit code 2.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import tyro

from ifvit.config import DENSE_PRESETS, MATCH_PRESETS, DenseConfig, MatchConfig, preset
from ifvit.pipeline.match import DENSE_CKPT, MATCHER_CKPT, match
from ifvit.synthesis.dataset import DatasetSpec


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
class MatchArgs:
    """Match two prints."""

    image0: Annotated[str, tyro.conf.Positional]
    image1: Annotated[str, tyro.conf.Positional]
    out: str | None = None
    """Write a picture of the match to this PNG file."""
    json: bool = False
    """Print the whole result as JSON."""
    ppi: int | None = None
    """Resolution of both prints; 500 if not given."""
    dense_ckpt: str = DENSE_CKPT
    matcher_ckpt: str = MATCHER_CKPT


@dataclass(frozen=True)
class DemoArgs:
    """Run the golden path on synthetic prints and write a report."""

    out: str = "demo"
    """Folder for checkpoints, prints, pictures and the report."""
    seed: int = 0


def run_synth(args: SynthArgs) -> None:
    """Write the data set and its contact sheet."""
    from tqdm import tqdm

    from ifvit.data.prints import read_image
    from ifvit.synthesis.dataset import write_dataset
    from ifvit.viz import contact_sheet

    def progress(items: Any, total: int) -> Any:
        return tqdm(items, "prints", total=total, unit="print")

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
    print(f"Module 1 is in {path}\nnext: ifvit train-match --pretrained-ckpt {path}")


def run_train_match(config: MatchConfig) -> None:
    """Train Module 2."""
    from ifvit.training.match import train_match

    path = train_match(config)
    print(f"Module 2 is in {path}\nnext: ifvit match A B --matcher-ckpt {path}")


def run_convert(args: ConvertArgs) -> None:
    """Convert LoFTR's weights."""
    from ifvit.weights.convert import convert_loftr

    arrays, record = convert_loftr(
        args.pytorch_ckpt,
        args.output,
        prefix=args.prefix,
        num_heads=args.num_heads,
        temp_bug_fix=args.temp_bug_fix,
    )
    print(f"{record.summary(arrays)}, in {args.output}")
    print(f"next: ifvit train-dense --loftr-pretrained-ckpt {args.output}")


def run_inspect(args: InspectArgs) -> None:
    """Describe a checkpoint."""
    from ifvit.weights.describe import describe

    print(describe(args.ckpt))


def run_match(args: MatchArgs) -> None:
    """Match two prints and print the result."""
    result = match(
        args.image0,
        args.image1,
        dense_ckpt=args.dense_ckpt,
        matcher_ckpt=args.matcher_ckpt,
        ppi=args.ppi,
    )
    if args.out is not None:
        from ifvit.viz import draw_match

        draw_match(result, args.out)
    if args.json:
        print(result.to_json())
    else:
        print(result.summary())


def run_demo(args: DemoArgs) -> None:
    """Run the demo."""
    from ifvit.demo import demo

    demo(args.out, args.seed)


COMMANDS: dict[str, tuple[Any, Callable[[Any], None]]] = {
    "synth": (SynthArgs, run_synth),
    "convert-loftr": (ConvertArgs, run_convert),
    "train-dense": (DenseConfig, run_train_dense),
    "train-match": (MatchConfig, run_train_match),
    "inspect": (InspectArgs, run_inspect),
    "match": (MatchArgs, run_match),
    "demo": (DemoArgs, run_demo),
}

PRESETS: dict[str, dict[str, Any]] = {"train-dense": DENSE_PRESETS, "train-match": MATCH_PRESETS}

USAGE = f"usage: ifvit COMMAND [options]\ncommands: {', '.join(COMMANDS)}\nifvit COMMAND --help"


def _take_preset(arguments: list[str], known: dict[str, Any]) -> Any:
    """Remove ``--preset NAME`` from the arguments and return that preset; ``paper`` without it."""
    for index, word in enumerate(arguments):
        if word == "--preset" or word.startswith("--preset="):
            _, equals, name = word.partition("=")
            if not equals:
                name = "".join(arguments[index + 1 : index + 2])
            del arguments[index : index + (1 if equals else 2)]
            return preset(known, name)
    return preset(known, "paper")


def parse(command: str, arguments: list[str]) -> Any:
    """Parse a command's arguments to its dataclass. Exits with code 2 for wrong ones."""
    cls, _ = COMMANDS[command]
    options: dict[str, Any] = {}
    if command in PRESETS:
        options["default"] = _take_preset(arguments, PRESETS[command])
        names = ", ".join(sorted(PRESETS[command]))
        options["description"] = f"{cls.__doc__} --preset NAME first sets all values: {names}."
    return tyro.cli(cls, args=arguments, prog=f"ifvit {command}", **options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"ifvit {version('ifvit')}")
        return 0
    command = arguments.pop(0)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("ifvit").setLevel(logging.INFO)
    try:
        if command not in COMMANDS:
            raise ValueError(f"unknown command {command!r}: expected one of {', '.join(COMMANDS)}")
        COMMANDS[command][1](parse(command, arguments))
    except (ValueError, OSError) as error:
        print(f"ifvit: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ifvit: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
