"""Weights that others share: a folder that ``ifvit release`` wrote, or a repository of such a hub.

Only :func:`downloaded` uses the network, and only where a hub's name is given.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from ifvit.weights.pretrained import (
    DEFAULT,
    RECORD_FILE,
    PretrainedFiles,
    list_weights,
    pretrained_files,
    released_files,
)

logger = logging.getLogger("ifvit")

HUB_NAME = re.compile(
    r"(?P<surely>hf:)?(?P<repo>(?P<owner>[\w.-]+)/[\w.-]+?)(?:@(?P<revision>[\w./-]+))?"
)
"""``owner/name``, with an optional tag, branch or commit; the prefix ``hf:`` means that it is no
folder."""

WANTED = ("*.json", "*.safetensors", "*.onnx", "README.md")
"""The files of a repository that are downloaded."""


def named_files(name: str | Path = DEFAULT) -> PretrainedFiles:
    """Return the files of weights by their name: one that ships, a folder, or ``owner/name``.

    They are verified by the record beside them. Where ``owner`` is a folder here, a hub is asked
    only for ``hf:owner/name``. Raises ValueError for any other name, and as ``pretrained_files``
    and :func:`downloaded` do.
    """
    text, folder = str(name), Path(name)
    if text in list_weights():
        return pretrained_files(text)
    if folder.is_dir():
        return released_files(folder)
    found = HUB_NAME.fullmatch(text)
    if found is None or folder.is_absolute() or text.startswith("."):
        raise ValueError(
            f"no weights called {text!r}: expected one of {', '.join(list_weights())}, a folder "
            f"with the {RECORD_FILE} that `ifvit release` writes, or a hub's owner/name"
        )
    if not found["surely"] and Path(found["owner"]).is_dir():
        # A mistyped path would otherwise load the weights of a stranger from the hub.
        raise ValueError(
            f"{text} does not exist, but {found['owner']} is a folder here: expected a folder with "
            f"the {RECORD_FILE} that `ifvit release` writes, or hf:{text} for a hub's repository"
        )
    return released_files(downloaded(found["repo"], found["revision"]))


def downloaded(repo: str, revision: str | None = None) -> Path:
    """Return the folder of a repository of the Hugging Face Hub, downloaded if it is not there yet.

    Raises ValueError where ``huggingface_hub`` is missing, and where nothing can be downloaded.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ValueError(
            f"{repo} is no folder, and to download it as a hub's repository the package "
            "huggingface_hub is needed: pip install 'ifvit[hub]'"
        ) from error
    logger.info("asking the Hugging Face Hub for %s", repo + (f"@{revision}" if revision else ""))
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(WANTED)))
    except Exception as error:  # each kind of failure has a type of its own, of several packages
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{repo} cannot be downloaded from the hub ({reason}): expected a folder, or the "
            "owner/name of a repository that is public or yours"
        ) from error
