"""Published data sets whose file names give everything: finger, impression and resolution.

The names are those of the sets' own documents (NIST Technical Notes 1993, 2002 and 2007; for
SOCOFing, Shehu et al., arXiv 1807.10609) as public readers of them write them down; none of the
sets is at hand here, so each is tested on a made-up tree of such names. Finger positions are the
codes of ANSI/NIST-ITL (FRGP): 1 to 10 from the right thumb to the left little finger, 11 and 12 the
plain thumbs, from 13 on several fingers or a palm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

FRGP_THUMBS = {"11": "01", "12": "06"}
"""Plain right and left thumb: the same fingers as 1 and 6, under codes of their own."""


@dataclass(frozen=True)
class Named:
    """A print as its file's name describes it. ``ppi`` is None where the name has no resolution."""

    finger: str
    impression: str
    path: Path
    ppi: int | None


@dataclass(frozen=True)
class Layout:
    """One data set's way of naming files."""

    name: str
    example: str
    pattern: re.Pattern[str]
    """Matches the whole file name without its extension."""
    read: Callable[[re.Match[str], Path], Named | None]
    """Turn a matching name into its print, or None for one that is not of a single finger."""


def _sd4(match: re.Match[str], path: Path) -> Named:
    # f and s are the first and the second rolling of one finger; _01 to _10 is which finger it is.
    return Named(f"{match['number']}_{match['frgp']}", match["roll"], path, 500)


def _sd300(match: re.Match[str], path: Path) -> Named | None:
    frgp = FRGP_THUMBS.get(match["frgp"], match["frgp"])
    if int(frgp) > 10:
        return None
    return Named(f"{match['subject']}_{frgp}", match["kind"], path, int(match["ppi"]))


def _sd301(match: re.Match[str], path: Path) -> Named | None:
    frgp = FRGP_THUMBS.get(match["frgp"], match["frgp"])
    several = match["capture"] not in ("roll", "plain", "slap-segmented")
    if int(frgp) > 10 or several or not match["ppi"].isdecimal():
        return None
    impression = f"{match['encounter']}_{match['device']}_{match['capture']}"
    return Named(f"{match['subject']}_{frgp}", impression, path, int(match["ppi"]))


def _sd302(match: re.Match[str], path: Path) -> Named | None:
    if int(match["frgp"]) > 10:
        return None
    finger = f"{match['subject']}_{match['frgp']}"
    return Named(finger, f"{match['device']}_{match['capture']}", path, 500)


def _socofing(match: re.Match[str], path: Path) -> Named:
    finger = f"{match['subject']}_{match['hand']}_{match['finger']}"
    # Altered-Easy, -Medium and -Hard repeat each other's names: the folder tells them apart.
    altered = f"{path.parent.name}_{match['change']}" if match["change"] else "Real"
    return Named(finger, altered, path, 500)


LAYOUTS = (
    Layout(
        "NIST SD4",
        "f0001_01.png",
        re.compile(r"(?P<roll>[fs])(?P<number>[0-9]{4})_(?P<frgp>[0-9]{2})"),
        _sd4,
    ),
    Layout(
        "NIST SD300",
        "00001000_roll_500_01.png",
        re.compile(
            r"(?P<subject>[0-9]{8})_(?P<kind>roll|plain)_(?P<ppi>[0-9]{3,4})_(?P<frgp>[0-9]{2})"
        ),
        _sd300,
    ),
    Layout(
        "NIST SD301a",
        "00002223_01_dryrun-A_500_roll_01.png",
        re.compile(
            r"(?P<subject>[0-9]{8})_(?P<encounter>[0-9]{2})_(?P<device>dryrun-[A-Z])_"
            r"(?P<ppi>[0-9]{3,4}|variable)_(?P<capture>[a-z-]+)_(?P<frgp>[0-9]{2})"
        ),
        _sd301,
    ),
    Layout(
        "NIST SD302a",
        "00002303_A_roll_01.png",
        re.compile(r"(?P<subject>[0-9]{8})_(?P<device>[A-H])_(?P<capture>roll)_(?P<frgp>[0-9]{2})"),
        _sd302,
    ),
    Layout(
        "SOCOFing",
        "100__M_Left_index_finger.BMP",
        re.compile(
            r"(?P<subject>[0-9]+)__[MF]_(?P<hand>Left|Right)_"
            r"(?P<finger>thumb|index|middle|ring|little)_finger(?:_(?P<change>CR|Obl|Zcut))?"
        ),
        _socofing,
    ),
)


def named_prints(root: Path, images: Sequence[Path]) -> tuple[list[Named], int]:
    """Read a data set's file names; return its prints, and how many images were left out.

    Images of several fingers, of palms, and of unstated resolution are left out. The list is empty
    where no name is known. Raises ValueError where the names belong to several data sets, or where
    prints have several resolutions: each impression would occur twice.
    """
    found = {layout.name: _matching(layout, images) for layout in LAYOUTS}
    found = {name: matches for name, matches in found.items() if matches}
    if not found:
        return [], 0
    if len(found) > 1:
        raise ValueError(
            f"{root} holds several data sets: names of {' and '.join(found)}; "
            "give the folder of one of them"
        )
    (name, matches), *_ = found.items()
    prints = [named for named in matches if named is not None]
    resolutions = sorted({print_.ppi for print_ in prints if print_.ppi is not None})
    if len(resolutions) > 1:
        raise ValueError(
            f"{root} holds the prints of {name} at {', '.join(map(str, resolutions))} ppi: "
            f"give the folder of one resolution, such as that of {resolutions[0]}"
        )
    return prints, len(images) - len(prints)


def _matching(layout: Layout, images: Sequence[Path]) -> list[Named | None]:
    matches = ((layout.pattern.fullmatch(path.stem), path) for path in images)
    return [layout.read(match, path) for match, path in matches if match]
