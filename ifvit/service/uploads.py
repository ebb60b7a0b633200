"""Requests to prints and values: a form or JSON, read into memory, never to the disk."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import MAX_PPI, MIN_PPI
from ifvit.service.faults import ServiceError
from ifvit.service.forms import Form, PrintField, ValueField
from ifvit.service.limits import Limits
from ifvit.texts import parse_json, shortened

LONGEST_NAME = 200
LONGEST_TEXT = 10_000

FIELDS = 100
"""Parts of a form that are no file."""


class GivenPrint(NamedTuple):
    """A print as it came: the bytes of a file, and what it is called, which opens nothing."""

    data: bytes
    ppi: float
    name: str


@dataclass(frozen=True)
class Given:
    """What a request holds, by the fields of its form."""

    prints: dict[str, list[GivenPrint]]
    values: dict[str, Any]


class InMemory(MultiPartParser):
    """Starlette's parser, whose files of more than a megabyte would go to the disk."""

    spool_max_size = 1 << 40


async def read(request: Request, form: Form, limits: Limits) -> Given:
    """Read a request by its form; raises :class:`ServiceError` for all that it does not declare."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        parts = await _parsed(request, limits)
        try:
            given = _of_form(parts, form)
        finally:
            await parts.close()
    elif kind == "application/json":
        given = _of_json(await request.body(), form)
    else:
        raise ServiceError(
            "wrong_type", f"the body is of type {kind or 'none'!r}: expected a form or JSON"
        )
    count = sum(map(len, given.prints.values()))
    if count > limits.prints:
        raise ServiceError(
            "too_large", f"{count} prints in one request: expected at most {limits.prints}"
        )
    return given


async def _parsed(request: Request, limits: Limits) -> FormData:
    parser = InMemory(
        request.headers,
        request.stream(),
        max_files=limits.prints,
        max_fields=FIELDS,
        max_part_size=LONGEST_TEXT,
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise ServiceError("bad_request", f"the form cannot be read ({error.message})") from error


def _of_form(parts: FormData, form: Form) -> Given:
    by_name = {one.name: one for one in form.prints}
    known = {*by_name, *(f"{name}_ppi" for name in by_name), *(v.name for v in form.values)}
    _check_names(parts, known)
    prints = {name: _form_prints(parts, one) for name, one in by_name.items()}
    values = {}
    for field in form.values:
        found = parts.getlist(field.name)
        if len(found) > 1 or not all(isinstance(one, str) for one in found):
            raise ServiceError(
                "bad_value", f"{field.name} is there twice, or as a file: expected a value"
            )
        values[field.name] = _value(field, _spelled(field, str(found[0])) if found else None)
    return Given(prints, values)


def _form_prints(parts: FormData, field: PrintField) -> list[GivenPrint]:
    files, listed = parts.getlist(field.name), parts.getlist(f"{field.name}_ppi")
    if not files or (len(files) > 1 and not field.several):
        raise ServiceError(
            "bad_value", f"{len(files)} files as {field.name}: expected {_count(field)}"
        )
    if len(listed) not in (0, 1, len(files)):
        raise ServiceError(
            "bad_value",
            f"{len(listed)} values of {field.name}_ppi for {len(files)} prints: expected one for "
            "all, or one for each",
        )
    ppis = [_number(f"{field.name}_ppi", one) for one in listed] or [float(REFERENCE_PPI)]
    made = []
    for number, file in enumerate(files):
        if not isinstance(file, UploadFile):
            raise ServiceError(
                "bad_value", f"{field.name} is no file: expected an image with a file name"
            )
        ppi = _ppi(f"{field.name}_ppi", ppis[number if len(ppis) > 1 else 0])
        # The whole file lies in memory: there is nothing to wait for.
        made.append(GivenPrint(file.file.read(), ppi, named(file.filename, field, number)))
    return made


def _of_json(body: bytes, form: Form) -> Given:
    try:
        values = parse_json(body.decode())
    except ValueError as error:
        raise ServiceError(
            "bad_request", f"the body cannot be read ({error}): expected JSON"
        ) from error
    _check_names(values, {*(p.name for p in form.prints), *(v.name for v in form.values)})
    prints = {one.name: _json_prints(values.get(one.name), one) for one in form.prints}
    return Given(prints, {one.name: _value(one, values.get(one.name)) for one in form.values})


def _json_prints(value: Any, field: PrintField) -> list[GivenPrint]:
    listed = value if field.several and isinstance(value, list) else [value]
    made = []
    for number, one in enumerate(listed):
        where = f"{field.name} {number}" if field.several else field.name
        if not isinstance(one, dict):
            raise ServiceError(
                "bad_value", f"{where} is no object: expected {_count(field)} with `image`"
            )
        _check_names(one, {"image", "ppi", "name"}, f" of {where}")
        image, name = one.get("image"), one.get("name", "")
        if not isinstance(image, str) or not isinstance(name, str):
            raise ServiceError("bad_value", f"{where} has no `image` or `name` that is text")
        try:
            data = base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ServiceError(
                "bad_value", f"the image of {where} is no base64 ({error})"
            ) from error
        ppi = _ppi(f"ppi of {where}", one.get("ppi", REFERENCE_PPI))
        made.append(GivenPrint(data, ppi, named(name, field, number)))
    if not made:
        raise ServiceError("bad_value", f"no {field.name}: expected {_count(field)}")
    return made


def _count(field: PrintField) -> str:
    return "one print or several" if field.several else "one print"


def named(given: str | None, field: PrintField, number: int) -> str:
    """Return what a print is called: the last part of its name, without what cannot be shown."""
    last = (given or "").replace("\\", "/").rpartition("/")[2]
    shown = "".join(sign for sign in last if sign.isprintable()).strip()
    otherwise = f"{field.name} {number}" if field.several else field.name
    return shortened(shown, LONGEST_NAME) or otherwise


def _check_names(names: Iterable[str], known: set[str], where: str = "") -> None:
    unknown = sorted(set(names) - known)
    if unknown:
        shown = shortened(", ".join(map(repr, unknown)), 100)
        expected = ", ".join(sorted(known))
        raise ServiceError(
            "bad_value", f"unknown fields{where}: {shown}; expected some of {expected}"
        )


def _spelled(field: ValueField, text: str) -> Any:
    """Return a form's text as the value that JSON would hold."""
    kind = field.schema["type"]
    if kind == "boolean":
        return {"true": True, "1": True, "on": True, "false": False, "0": False}.get(text, text)
    if kind == "object":
        try:
            return parse_json(text)
        except ValueError as error:
            raise ServiceError("bad_value", f"{field.name} cannot be read ({error})") from error
    return _number(field.name, text) if kind in ("number", "integer") else text


def _number(name: str, text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise ServiceError(
            "bad_value", f"{name} is no number: {shortened(str(text), 40)!r}"
        ) from error


def _ppi(where: str, value: Any) -> float:
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


def _value(field: ValueField, value: Any) -> Any:
    """Return a value that its schema allows, or the schema's own where there is none."""
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
    """Return whether a text is no longer than that, and holds nothing that cannot be shown."""
    return len(text) <= longest and text.isprintable()
