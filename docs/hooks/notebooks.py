"""The notebooks as pages of the site: text, code, and what the code showed when it was last run."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

FOLDER = Path(__file__).parents[2] / "notebooks"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, and its pictures."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        text, pictures = page(path)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and the pictures in it by name."""
    pictures: dict[str, bytes] = {}
    parts = []
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = _joined(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for shown in cell["outputs"]:
            data = shown.get("data", {})
            text = _joined(shown.get("text", data.get("text/plain", "")))
            if "image/png" in data:
                name = f"{path.stem}_{number}.png"
                pictures[name] = base64.b64decode(_joined(data["image/png"]))
                parts.append(f"![What the cell above shows]({name})")
            elif text:
                parts.append(f"```text\n{text.rstrip()}\n```")
    parts.append(f"*The notebook itself: [{path.name}](../../notebooks/{path.name}).*")
    return "\n\n".join(parts) + "\n", pictures


def _joined(text: Any) -> str:
    return text if isinstance(text, str) else "".join(text)
