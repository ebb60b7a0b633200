"""Fingerprint recognition that shows its reasons: the IFViT method in JAX.

What stands here is the public face; each name is imported when it is first used, so that
``import ifvit`` loads no numeric library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ifvit.comparison.result import MatchResult
    from ifvit.data.examples import example_prints
    from ifvit.gallery.gallery import Gallery
    from ifvit.matcher import Matcher
    from ifvit.one_call import match
    from ifvit.registered_pair import Registration, register
    from ifvit.weights.pretrained import list_weights

    load = from_pretrained = Matcher.from_pretrained

_PLACES = {
    "example_prints": "ifvit.data.examples",
    "Gallery": "ifvit.gallery.gallery",
    "match": "ifvit.one_call",
    "Matcher": "ifvit.matcher",
    "MatchResult": "ifvit.comparison.result",
    "register": "ifvit.registered_pair",
    "Registration": "ifvit.registered_pair",
    "list_weights": "ifvit.weights.pretrained",
}

__all__ = [
    "Gallery",
    "MatchResult",
    "Matcher",
    "Registration",
    "example_prints",
    "from_pretrained",
    "list_weights",
    "load",
    "match",
    "register",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name in ("load", "from_pretrained"):
        found: Any = __getattr__("Matcher").from_pretrained
    elif name == "__version__":
        found = import_module("importlib.metadata").version("ifvit")
    elif name in _PLACES:
        try:
            found = getattr(import_module(_PLACES[name]), name)
        except ImportError as error:
            if name != "Gallery":
                raise
            needs = f"a gallery is kept by LanceDB, which cannot be imported ({error})"
            raise ImportError(f"{needs}: pip install 'ifvit[gallery]'") from error
    else:
        raise AttributeError(f"module 'ifvit' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
