"""Requests to prints and values: a form or JSON, read into memory, never to the disk."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ifvit.config import REFERENCE_PPI
from ifvit.service.faults import ServiceError
from ifvit.service.field_values import (
    LONGEST_TEXT,
    check_names,
    named,
    number_of,
    ppi_of,
    spelled,
    value_of,
)
from ifvit.service.forms import Form, PrintField
from ifvit.service.limits import Limits
from ifvit.texts import parse_json

FIELDS = 100
"""Largest number of parts of a form that are no files."""


class GivenPrint(NamedTuple):
    """A print as it arrived: the bytes of a file, its resolution, and a name, which opens no
    file."""

    data: bytes
    ppi: float
    name: str


@dataclass(frozen=True)
class Given:
    """The contents of a request, by the fields of its form."""

    prints: dict[str, list[GivenPrint]]
    values: dict[str, Any]


if not hasattr(MultiPartParser, "spool_max_size"):
    raise ImportError(
        "this Starlette cannot be told to keep uploads in memory: pip install 'ifvit[serve]'"
    )


class InMemory(MultiPartParser):
    """Starlette's parser, kept from writing files of more than a megabyte to the disk."""

    spool_max_size = 1 << 40

    def close(self) -> None:
        """Close every file, those of a form that is cut short too."""
        for file in self._files_to_close_on_error:
            file.close()


async def read(request: Request, form: Form, limits: Limits) -> Given:
    """Read a request by its form; raises :class:`ServiceError` for undeclared or wrong fields."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        given = await _parsed(request, form, limits)
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


async def _parsed(request: Request, form: Form, limits: Limits) -> Given:
    parser = InMemory(
        request.headers,
        request.stream(),
        max_files=limits.prints,
        max_fields=FIELDS,
        max_part_size=LONGEST_TEXT,
    )
    try:
        return _of_form(await parser.parse(), form)
    except MultiPartException as error:
        raise ServiceError("bad_request", f"the form cannot be read ({error.message})") from error
    finally:
        parser.close()


def _of_form(parts: FormData, form: Form) -> Given:
    by_name = {one.name: one for one in form.prints}
    known = {*by_name, *(f"{name}_ppi" for name in by_name), *(v.name for v in form.values)}
    check_names(parts, known)
    prints = {name: _form_prints(parts, one) for name, one in by_name.items()}
    values = {}
    for field in form.values:
        found = parts.getlist(field.name)
        if len(found) > 1 or not all(isinstance(one, str) for one in found):
            raise ServiceError(
                "bad_value", f"{field.name} is there twice, or as a file: expected a value"
            )
        values[field.name] = value_of(field, spelled(field, str(found[0])) if found else None)
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
    ppis = [number_of(f"{field.name}_ppi", one) for one in listed] or [float(REFERENCE_PPI)]
    made = []
    for number, file in enumerate(files):
        if not isinstance(file, UploadFile):
            raise ServiceError(
                "bad_value", f"{field.name} is no file: expected an image with a file name"
            )
        ppi = ppi_of(f"{field.name}_ppi", ppis[number if len(ppis) > 1 else 0])
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
    check_names(values, {*(p.name for p in form.prints), *(v.name for v in form.values)})
    prints = {one.name: _json_prints(values.get(one.name), one) for one in form.prints}
    return Given(prints, {one.name: value_of(one, values.get(one.name)) for one in form.values})


def _json_prints(value: Any, field: PrintField) -> list[GivenPrint]:
    listed = value if field.several and isinstance(value, list) else [value]
    made = []
    for number, one in enumerate(listed):
        where = f"{field.name} {number}" if field.several else field.name
        if not isinstance(one, dict):
            raise ServiceError(
                "bad_value", f"{where} is no object: expected {_count(field)} with `image`"
            )
        check_names(one, {"image", "ppi", "name"}, f" of {where}")
        image, name = one.get("image"), one.get("name", "")
        if not isinstance(image, str) or not isinstance(name, str):
            raise ServiceError("bad_value", f"{where} has no `image` or `name` that is text")
        try:
            data = base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ServiceError(
                "bad_value", f"the image of {where} is no base64 ({error})"
            ) from error
        ppi = ppi_of(f"ppi of {where}", one.get("ppi", REFERENCE_PPI))
        made.append(GivenPrint(data, ppi, named(name, field, number)))
    if not made:
        raise ServiceError("bad_value", f"no {field.name}: expected {_count(field)}")
    return made


def _count(field: PrintField) -> str:
    return "one print or several" if field.several else "one print"
