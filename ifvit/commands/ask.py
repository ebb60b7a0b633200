"""The commands that ask a gallery: whose a print is, whether it is theirs, who is there twice."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ifvit.commands.gallery import MatchingArgs, Positional, opened
from ifvit.commands.use import check_prints
from ifvit.endings import flushed
from ifvit.files import check_folder, check_output, write_result

if TYPE_CHECKING:
    from ifvit.gallery.answers import SearchResult
    from ifvit.gallery.open_set import Rate

DOUBLES_HEADER = ("id0", "id1", "map_score", "score", "name0", "name1")


@dataclass(frozen=True)
class SearchArgs(MatchingArgs):
    """Search a gallery for the finger of a print. "Nobody" is an answer."""

    probes: Annotated[tuple[str, ...], Positional] = ()
    top: int = 10
    """Candidates to list."""
    fpir: float = 0.001
    """False positive identification rate at which somebody counts as found."""
    thorough: bool = False
    """Make all pairs of the shortlist, even where a candidate is beyond doubt."""
    cluster: str | None = None
    """Have the workers of a Ray cluster search: "local", "auto" or HOST:PORT of its head."""
    json: bool = False
    """Print a line of JSON for each probe."""
    evidence: str | None = None
    """Folder for a picture of the match with each candidate. Prints are personal data."""
    ppi: int | None = None
    """Resolution of the probes; 500 if not given."""


@dataclass(frozen=True)
class VerifyArgs(MatchingArgs):
    """Compare a print with those of one person of a gallery."""

    id: Annotated[str, Positional] = ""
    """Id of a print, or a subject."""
    probe: Annotated[str, Positional] = ""
    finger: str = ""
    fmr: float = 0.001
    """False match rate, of the whole claim, at which it is accepted."""
    out: str | None = None
    """Write a picture of the best match to this PNG file."""
    ppi: int | None = None
    """Resolution of the probe; 500 if not given."""


@dataclass(frozen=True)
class DedupeArgs(MatchingArgs):
    """Find who is enrolled twice in a gallery: all against all; goes on where it was stopped."""

    out: str = "doubles.csv"
    """Table to write: the pairs, most alike first."""
    fmr: float = 1e-6
    """False match rate of one comparison at which two prints count as of one finger."""
    evidence: str | None = None
    """Folder for a picture of each pair. Prints are personal data."""


def run_search(args: SearchArgs) -> None:
    """Search for each probe, and print the candidates."""
    _check_probes(args.probes, args.ppi)
    if args.top < 1:
        raise ValueError(f"--top {args.top}: expected at least 1")
    if args.evidence is not None:
        check_folder(args.evidence, "--evidence")
    gallery = opened(args)
    for probe in args.probes:
        found = gallery.search(
            probe, top=args.top, fpir=args.fpir, ppi=args.ppi, thorough=args.thorough
        )
        if args.json:
            listed = [one.record for one in found.candidates]
            print(json.dumps({"probe": probe, **found.record, "candidates": listed}))
        else:
            print("\n".join(_search_lines(probe, found)))
        flushed()
        if args.evidence is not None:
            for one in found.candidates:
                _draw(one.result, Path(args.evidence) / f"{Path(probe).stem}_{one.id}.png")


def _check_probes(probes: tuple[str, ...], ppi: int | None) -> None:
    if not probes:
        raise ValueError("no probe given: expected at least one print to search for")
    check_prints(probes[0], probes[1:], ppi)


def _search_lines(probe: str, found: SearchResult) -> list[str]:
    """Return an answer as lines: who it is, then the candidates."""
    at = f"at FPIR {100 * found.fpir:g} %, {found.size} prints"
    if not found.decided:
        why = "the weights are not calibrated" if found.threshold is None else "no print is kept"
        head = f"{probe}: undecided, since {why}; {found.size} prints"
    elif not found.found:
        head = f"{probe}: nobody, {at}"
    else:
        names = [one.subject or one.id for one in found.found]
        head = f"{probe}: {', '.join(dict.fromkeys(names))}, {at}"
    if found.decided and found.threshold is not None:
        beyond = ", extrapolated" if found.threshold.extrapolated else ""
        head += f": score from {found.threshold.value:.3f}{beyond}"
    lines = [head, "rank\tscore\tmaps\tFMR\tFPIR\tid\tsubject\tfinger\tname"]
    for rank, one in enumerate(found.candidates, 1):
        score = "-" if one.score is None else f"{one.score:.3f}"
        rates = _rate(one.fmr), _rate(one.fpir)
        whose = one.id, one.subject, one.finger, one.name
        lines.append("\t".join([str(rank), score, f"{one.map_score:.3f}", *rates, *whose]))
    return lines


def _rate(rate: Rate | None) -> str:
    """Return a rate; ``~`` stands before one that rests on the continued tail."""
    return "-" if rate is None else f"{'~' if rate.extrapolated else ''}{rate.value:.2g}"


def _draw(result: Any, path: Path) -> None:
    if result is not None:
        from ifvit.viz.matches import draw_match

        draw_match(result, path)


def run_verify(args: VerifyArgs) -> None:
    """Compare a print with those of one person."""
    if not args.id or not args.probe:
        raise ValueError("expected the id or subject that is claimed, and a print")
    _check_probes((args.probe,), args.ppi)
    if args.out is not None:
        check_output(args.out)
    made = opened(args).verify(args.id, args.probe, finger=args.finger, fmr=args.fmr, ppi=args.ppi)
    for id, result in made.results:
        print(f"{id}\t{result.name1}\t{result.summary()}")
    if made.accepted is None or made.threshold is None:
        why = "the weights are not calibrated" if made.results else "no print of theirs is kept"
        raise ValueError(f"the claim cannot be decided: {why}")
    said = "accepted" if made.accepted else "rejected"
    limit = f"score from {made.threshold.value:.3f}"
    print(f"{said} at FMR {args.fmr:g}: {limit}; FMR of the claim {_rate(made.fmr)}")
    if args.out is not None:
        flushed()
        _draw(made.results[0][1], Path(args.out))


def run_dedupe(args: DedupeArgs) -> None:
    """Write the pairs of prints that are alike though they are said to be of two fingers."""
    check_output(args.out)
    if args.evidence is not None:
        check_folder(args.evidence, "--evidence")
    gallery = opened(args)
    found = gallery.dedupe(args.fmr)
    labels = gallery.labels().select(["id", "name"]).to_pylist()
    names = {one["id"]: one["name"] for one in labels}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(DOUBLES_HEADER)
    for one in found:
        score = "" if one.score is None else f"{one.score:.4f}"
        both = one.id0, one.id1
        writer.writerow([*both, f"{one.map_score:.4f}", score, *(names.get(i, "") for i in both)])
    write_result(args.out, text.getvalue().encode(), ",".join(DOUBLES_HEADER).encode())
    count = len(labels)
    chance = args.fmr * count * (count - 1) / 2
    print(f"{len(found)} pairs of {count} prints in {args.out}; {chance:.2g} expected by chance")
    flushed()
    if args.evidence is not None:
        for one in found:
            if one.score is not None:
                path = Path(args.evidence) / f"{one.id0}_{one.id1}.png"
                _draw(gallery.match(one.id0, one.id1), path)
