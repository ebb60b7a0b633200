"""Reports as one self-contained HTML page: text, tables, and pictures inside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence


def page(title: str, lead: str, sections: Sequence[tuple[str, str]]) -> str:
    """Return a page; ``sections`` are headings with their HTML."""
    body = "".join(f"<h2>{html.escape(name)}</h2>{content}" for name, content in sections)
    return (
        f"<!doctype html><meta charset='utf-8'><title>{html.escape(title)}</title><style>"
        "body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em}"
        "img{max-width:100%}td,th{padding:.1em 1.5em .1em 0;text-align:left}"
        "pre{overflow-x:auto;font-size:13px}"
        f"</style><h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p>{body}\n"
    )


def picture(png: bytes) -> str:
    """Return a PNG as an HTML image that needs no file."""
    return f"<img alt='' src='data:image/png;base64,{base64.b64encode(png).decode()}'>"


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Return rows of text as an HTML table."""
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = [f"<tr>{top}</tr>"] if head else []
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>")
    return f"<table>{''.join(lines)}</table>"
