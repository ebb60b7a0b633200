"""The commands that keep a gallery: prints enrolled, removed and listed, and its upkeep."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ifvit.data.tags import warn_of_tags
from ifvit.endings import flushed
from ifvit.matcher import Matcher
from ifvit.texts import shortened
from ifvit.weights.pretrained import module_files

Positional = tyro.conf.Positional


@dataclass(frozen=True)
class GalleryArgs:
    """A gallery, and by what it is opened."""

    gallery: Annotated[str, Positional]
    """Folder of the gallery, or the URI of an object store that LanceDB knows."""
    key_file: str | None = None
    """Key of an encrypted gallery: 32 bytes, as such, in hexadecimal or base64; if not given, that
    of the environment variable IFVIT_GALLERY_KEY."""


@dataclass(frozen=True)
class MatchingArgs(GalleryArgs):
    """A gallery, and the weights that it is used with."""

    dense_ckpt: str | None = None
    """Both checkpoints of a training; if not given, the weights that ship with ifvit."""
    matcher_ckpt: str | None = None


@dataclass(frozen=True)
class EnrollArgs(MatchingArgs):
    """Enrol prints into a gallery, which is made if there is none."""

    paths: Annotated[tuple[str, ...], Positional] = ()
    """Prints, or folders of prints."""
    subject: str = ""
    """Whose prints they are; those of a folder are otherwise FOLDER/FINGER by its layout."""
    finger: str = ""
    """Which finger, such as "right index"; one may have several prints."""
    table: str | None = None
    """A CSV table of prints: path, and where wanted subject, finger, ppi; others are metadata."""
    metadata: tuple[str, ...] = ()
    """Anything else that is to be kept with them, as NAME=VALUE."""
    ppi: int | None = None
    """Resolution of the prints; 500 if not given."""
    keep_prints: bool = False
    """Keep the prints themselves. Without them a search ends at their dense maps: no false match
    rate, no decision, no evidence, and new weights need new captures. They are biometric data."""
    force: bool = False
    """Enrol prints of low quality too."""
    cluster: str | None = None
    """Have the workers of a Ray cluster embed: "local", "auto" or HOST:PORT of its head."""


@dataclass(frozen=True)
class RemoveArgs(GalleryArgs):
    """Remove prints from a gallery, by id or subject."""

    ids: Annotated[tuple[str, ...], Positional] = ()
    finger: str = ""
    """Of subjects, only this finger."""
    purge: bool = False
    """Remove them from older versions of the gallery too, which otherwise still hold them."""


@dataclass(frozen=True)
class ListArgs(GalleryArgs):
    """List the prints of a gallery: id, subject, finger, name, time."""

    json: bool = False
    """Print a line of JSON for each print, with all that is not biometric."""


@dataclass(frozen=True)
class MaintainArgs:
    """Look after a gallery.

    ``upgrade`` embeds its prints anew by other weights or settings, ``compact`` puts its files in
    order, ``purge`` removes older versions with what was removed, ``check`` compares every print
    with its checksum, ``count`` counts, ``backup`` copies it to ``--out``.
    """

    action: Annotated[
        Literal["upgrade", "compact", "purge", "check", "count", "backup"], Positional
    ]
    gallery: Annotated[str, Positional]
    out: str | None = None
    """Where a backup goes: a new folder."""
    key_file: str | None = None
    """Key of an encrypted gallery; if not given, that of IFVIT_GALLERY_KEY."""
    dense_ckpt: str | None = None
    """Both checkpoints of a training; if not given, the weights that ship with ifvit."""
    matcher_ckpt: str | None = None


def opened(args: Any, create: bool = False, matcher: Matcher | None = None) -> Any:
    """Return the gallery of a command, by a matcher, or weights loaded when they are first needed.

    Raises ValueError where the extra ``gallery`` is not installed, and as ``Gallery``.
    """
    try:
        from ifvit.gallery.gallery import Gallery
        from ifvit.gallery.sealing import read_key

        key = read_key(args.key_file)
        load: Any = matcher
        if matcher is None and isinstance(args, MatchingArgs | MaintainArgs):
            module_files(args.dense_ckpt, args.matcher_ckpt)

            def load() -> Matcher:
                return Matcher.from_checkpoints(args.dense_ckpt, args.matcher_ckpt)

        address = getattr(args, "cluster", None)
        return Gallery(args.gallery, load, key=key, create=create, cluster=address)
    except ImportError as error:
        raise ValueError(
            f"a gallery is kept by LanceDB, which cannot be imported ({error}): "
            "pip install 'ifvit[gallery]'"
        ) from error


def run_enroll(args: EnrollArgs) -> None:
    """Enrol prints, and say of each what became of it."""
    from ifvit.gallery.enrolment import entries, table_entries

    if bool(args.paths) == (args.table is not None):
        raise ValueError("expected prints to enrol: files and folders, or a --table, not both")
    for path in args.paths:
        if not Path(path).exists():
            raise FileNotFoundError(f"no such file or folder of prints: {path}")
    metadata = dict(_named(text) for text in args.metadata)
    given = table_entries(args.table, args.ppi) if args.table else args.paths
    listed = list(entries(given, args.subject, args.finger, args.ppi, metadata))
    warn_of_tags((str(one.name), one.ppi) for one in listed)
    counts: Counter[str] = Counter()
    gallery = opened(args, create=True)
    for one in gallery.enrolling(listed, keep_prints=args.keep_prints, force=args.force):
        counts[one.state] += 1
        print("\t".join([one.id or "-", one.state, one.name, shortened(one.reason)]).rstrip())
        flushed()
    told = ", ".join(f"{counts[state]} {state}" for state in ("enrolled", "known", "refused"))
    print(f"{told}; {len(gallery)} prints in {args.gallery}")
    if counts["refused"]:
        raise ValueError(f"{counts['refused']} of {len(listed)} prints were refused, see above")


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"--metadata {text}: expected NAME=VALUE")
    return name, value


def run_remove(args: RemoveArgs) -> None:
    """Remove prints."""
    if not args.ids:
        raise ValueError("nobody to remove: expected ids or subjects of `ifvit list`")
    removed = opened(args).remove(args.ids, finger=args.finger, purge=args.purge)
    kept = "" if args.purge else "; older versions hold them until `ifvit gallery purge`"
    print(f"{len(removed)} prints removed{kept}")


def run_list(args: ListArgs) -> None:
    """List prints."""
    for one in opened(args).labels().to_pylist():
        if args.json:
            print(json.dumps(one | {"metadata": json.loads(one["metadata"] or "{}")}))
        else:
            shown = ("id", "subject", "finger", "name", "enrolled")
            print("\t".join(one[name] for name in shown))


def run_gallery(args: MaintainArgs) -> None:
    """Look after a gallery."""
    if (args.action == "backup") != (args.out is not None):
        raise ValueError("--out is where a backup goes: expected `ifvit gallery backup G --out D`")
    gallery = opened(args)
    if args.action == "upgrade":
        done, without = gallery.upgrade()
        print(f"{done} prints embedded anew")
        if without:
            raise ValueError(
                f"{len(without)} prints are not kept, and cannot be embedded anew: "
                f"{shortened(', '.join(without), 200)}; remove them, then enrol them again"
            )
    elif args.action in ("compact", "purge"):
        gallery.compact(purge=args.action == "purge")
        print(f"{len(gallery)} prints in {args.gallery}")
    elif args.action == "check":
        if damaged := gallery.store.damaged():
            listed = shortened(", ".join(damaged), 250)
            raise ValueError(f"{len(damaged)} prints do not hold what was written: {listed}")
        print(f"{len(gallery)} prints, each as it was written")
    elif args.action == "backup":
        gallery.back_up(args.out)
        print(f"{len(gallery)} prints copied to {args.out}")
    else:
        print(len(gallery))
