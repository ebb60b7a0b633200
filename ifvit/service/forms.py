"""The form of a route, declared once: by it requests are read, and OpenAPI describes them.

A request is ``multipart/form-data`` or JSON. A print field NAME is a file of the form, with
``NAME_ppi`` beside it, or in JSON an object of ``image`` (base64), ``ppi`` and ``name``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import MAX_PPI, MIN_PPI

PPI: dict[str, Any] = {
    "type": "number",
    "minimum": MIN_PPI,
    "maximum": MAX_PPI,
    "default": REFERENCE_PPI,
    "description": "Resolution of the print, pixels per inch.",
}


PNG_START = "iVBORw0KGgo="
"""How the base64 of a PNG begins."""


@dataclass(frozen=True)
class PrintField:
    """A field for one print, or for several."""

    name: str
    about: str
    several: bool = False


@dataclass(frozen=True)
class ValueField:
    """A field for a value, by its JSON schema: ``boolean``, ``number`` or ``string``."""

    name: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Form:
    """The fields of a route."""

    prints: tuple[PrintField, ...]
    values: tuple[ValueField, ...] = ()

    def request_body(self) -> dict[str, Any]:
        """Return the ``requestBody`` of OpenAPI."""
        content = {"multipart/form-data": self._multipart(), "application/json": self._json()}
        return {"required": True, "content": content}

    def _multipart(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for one in self.prints:
            file = {"type": "string", "format": "binary"}
            fields[one.name] = _listed(file, one.several) | {"description": one.about}
            fields[f"{one.name}_ppi"] = _listed(PPI, one.several)
        files = {one.name: _shown("(a file)", one.several) for one in self.prints}
        return {"schema": self._object(fields), "examples": {"files": {"value": files}}}

    def _json(self) -> dict[str, Any]:
        one_print = {
            "type": "object",
            "required": ["image"],
            "additionalProperties": False,
            "properties": {
                "image": {"type": "string", "format": "byte", "description": "base64 of a file"},
                "ppi": PPI,
                "name": {"type": "string", "maxLength": 200},
            },
        }
        fields = {
            one.name: _listed(one_print, one.several) | {"description": one.about}
            for one in self.prints
        }
        image = {"image": PNG_START, "ppi": REFERENCE_PPI, "name": "1_1.png"}
        images = {one.name: _shown(image, one.several) for one in self.prints}
        return {"schema": self._object(fields), "examples": {"base64": {"value": images}}}

    def _object(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": [one.name for one in self.prints],
            "additionalProperties": False,
            "properties": fields | {one.name: one.schema for one in self.values},
        }


def _shown(one: Any, several: bool) -> Any:
    return [one] if several else one


def _listed(schema: dict[str, Any], several: bool) -> dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": 1} if several else dict(schema)


EVIDENCE = ValueField(
    "evidence",
    {
        "type": "boolean",
        "default": False,
        "description": "Whether each result carries its evidence, to be drawn.",
    },
)
