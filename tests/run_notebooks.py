"""Run the notebooks from their first cell to the last, each in an empty folder of its own.

Usage: python tests/run_notebooks.py [--write] [NOTEBOOK …]; all of ``notebooks`` if none is named.
``--write`` keeps what they show, which the site and the reader of the source see. Exit code 1 where
a cell fails, or where what is shown is too much to keep.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

FOLDER = Path(__file__).parents[1] / "notebooks"
MOST_SECONDS = 600
MOST_BYTES = 800_000
"""What a notebook may come to with all that it shows."""


def run(path: Path) -> nbformat.NotebookNode:
    """Return a notebook with what its cells showed; raises what nbclient does."""
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory() as folder:
        places = {"metadata": {"path": folder}}
        NotebookClient(book, timeout=MOST_SECONDS, resources=places).execute()
        return without_noise(book, folder)


def without_noise(book: nbformat.NotebookNode, folder: str) -> nbformat.NotebookNode:
    """Take out what says nothing to a reader: progress, times, and where it ran."""
    for cell in book.cells:
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
        for one in cell.outputs:
            if "text" in one:
                one.text = one.text.replace(folder + "/", "")
    return book


def main(arguments: list[str]) -> int:
    """Run all that are named; return the exit code."""
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    write = "--write" in arguments
    named = [Path(one) for one in arguments if one != "--write"]
    failed = []
    for path in named or sorted(FOLDER.glob("*.ipynb")):
        start = time.monotonic()
        try:
            book = run(path)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            failed.append(path.name)
            continue
        size = len(nbformat.writes(book).encode())
        print(f"{path.name}: {time.monotonic() - start:.0f} s, {size / 1000:.0f} kB", flush=True)
        if size > MOST_BYTES:
            failed.append(path.name)
        if write:
            nbformat.write(book, path)
    if failed:
        print(f"notebooks that fail, or show too much: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
