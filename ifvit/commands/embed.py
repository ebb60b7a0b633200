"""``ifvit embed``: templates of prints."""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional

from ifvit.commands.options import SHIPPED, WeightsOptions, check_all_read
from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import check_ppi
from ifvit.data.tags import warn_of_tags
from ifvit.files import check_output


@dataclass(frozen=True)
class Settings:
    """Make stand-alone templates of prints: fixed length, to be stored and compared."""

    paths: Positional[tuple[str, ...]]
    """Prints; each gives one template."""
    out: str = "templates.npz"
    """File to write."""
    ppi: int | None = None
    """Resolution of the prints; 500 if not given."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Write templates."""
    from ifvit.gallery.template import check_names, embed_files, save_templates

    paths, ppi = settings.paths, settings.ppi
    if not paths:
        raise ValueError("no prints given: expected at least one file")
    check_output(settings.out)
    check_ppi(REFERENCE_PPI if ppi is None else ppi)
    check_names(paths)
    warn_of_tags((path, ppi) for path in paths)
    settings.weights.files()
    templates, unreadable = embed_files(settings.weights.matcher(), paths, ppi)
    if templates is not None:
        save_templates(settings.out, templates)
        print(f"{len(templates)} templates of {templates.bytes_each} bytes in {settings.out}")
    check_all_read(unreadable, paths, "prints have no template")
