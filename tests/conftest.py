"""What all tests share: run-time checks of types and shapes, and the folder of real prints."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Checks each annotated shape and type at every call. It must be in place before ifvit is imported,
# and the tests import it only after this file. The numeric tower lets an int pass for a float.
install_import_hook("ifvit", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")


def pytest_configure(config: pytest.Config) -> None:
    """Let pass beartype's remark on how flax declares ``nnx.List``: it is not about this code."""
    remark = "beartype.roar.BeartypeDecorHintPep585DeprecationWarning"
    config.addinivalue_line("filterwarnings", f"ignore::{remark}")


@pytest.fixture(scope="session")
def ifvit_data() -> Path:
    """The folder that holds real data sets such as ``fvc2002_db1_b``, from IFVIT_DATA."""
    folder = os.environ.get("IFVIT_DATA")
    if not folder:
        pytest.skip("needs real prints: set IFVIT_DATA to the folder that holds fvc2002_db1_b")
    if not Path(folder).is_dir():
        pytest.fail(f"IFVIT_DATA is not a folder: {folder}")
    return Path(folder)
