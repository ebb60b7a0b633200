"""Values of a request as its form declares them: numbers, flags, texts, names and resolutions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ifvit.data.prints import MAX_PPI, MIN_PPI
from ifvit.service.faults import ServiceError
from ifvit.service.forms import PrintField, ValueField
from ifvit.texts import parse_json, shortened

LONGEST_NAME = 200
LONGEST_TEXT = 10_000


def named(given: str | None, field: PrintField, number: int) -> str:
    """Return the name of a print: the last part of the given one, without unprintable signs."""
    last = (given or "").replace("\\", "/").rpartition("/")[2]
    shown = "".join(sign for sign in last if sign.isprintable()).strip()
    otherwise = f"{field.name} {number}" if field.several else field.name
    return shortened(shown, LONGEST_NAME) or otherwise


def check_names(names: Iterable[str], known: set[str], where: str = "") -> None:
    """Raise :class:`ServiceError` for unknown names."""
    unknown = sorted(set(names) - known)
    if unknown:
        shown = shortened(", ".join(map(repr, unknown)), 100)
        expected = ", ".join(sorted(known))
        raise ServiceError(
            "bad_value", f"unknown fields{where}: {shown}; expected some of {expected}"
        )


def spelled(field: ValueField, text: str) -> Any:
    """Return the text of a form's field as the value that JSON would have."""
    kind = field.schema["type"]
    if kind == "boolean":
        return {"true": True, "1": True, "on": True, "false": False, "0": False}.get(text, text)
    if kind == "object":
        try:
            return parse_json(text)
        except ValueError as error:
            raise ServiceError("bad_value", f"{field.name} cannot be read ({error})") from error
    return number_of(field.name, text) if kind in ("number", "integer") else text


def number_of(name: str, text: Any) -> float:
    """Return the number in a form's text; raises :class:`ServiceError` for any other text."""
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise ServiceError(
            "bad_value", f"{name} is no number: {shortened(str(text), 40)!r}"
        ) from error


def ppi_of(where: str, value: Any) -> float:
    """Return a resolution, pixels per inch; raises :class:`ServiceError` for an impossible one."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not MIN_PPI <= value <= MAX_PPI:
        shown = shortened(repr(value), 40)
        raise ServiceError("bad_value", f"{where} is {shown}: expected {MIN_PPI} to {MAX_PPI}")
    return float(value)


TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "number": (int, float),
    "integer": (int, float),
    "string": (str,),
    "object": (dict,),
}


def value_of(field: ValueField, value: Any) -> Any:
    """Return a value that its schema allows, or the schema's default where none is given."""
    schema = field.schema
    if value is None:
        return schema.get("default")
    kind = schema["type"]
    # To Python True is a number.
    fits = isinstance(value, TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")
    if fits and kind in ("number", "integer"):
        fits = schema.get("minimum", value) <= value <= schema.get("maximum", value)
        fits = fits and (kind == "number" or float(value).is_integer())
    elif fits and kind == "string":
        fits = _can_be_kept(value, schema.get("maxLength", LONGEST_TEXT))
    elif fits and kind == "object":
        texts = [*value, *value.values()]
        fits = all(isinstance(one, str) and _can_be_kept(one, LONGEST_NAME) for one in texts)
    if not fits:
        told = ("type", "minimum", "maximum", "maxLength")
        wanted = ", ".join(f"{name} {schema[name]}" for name in told if name in schema)
        shown = shortened(repr(value), 40)
        raise ServiceError("bad_value", f"{field.name} is {shown}: expected {wanted}")
    return int(value) if kind == "integer" else value


def _can_be_kept(text: str, longest: int) -> bool:
    """Return whether a text has at most ``longest`` characters, all of them printable."""
    return len(text) <= longest and text.isprintable()
