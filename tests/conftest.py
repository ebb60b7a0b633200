"""What all tests share: run-time checks of types and shapes, a small model, synthetic prints."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Compiling, not computing, is what takes the time here. To be set before jax is imported, which
# jaxtyping does not do; a test run with the compiler at its best: JAX_DISABLE_MOST_OPTIMIZATIONS=0.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


def compiled_folder() -> Path:
    """Return where tests keep compiled programs, those of all checkouts on this processor."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    kind = hashlib.sha256(f"{platform.machine()} {flags}".encode()).hexdigest()[:16]
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return user / "ifvit-tests" / kind


# What one process has compiled the others need not, nor does the next run; with
# JAX_COMPILATION_CACHE_DIR="" all is compiled. Where the folder has a limit JAX locks it, so that
# no process reads what another has half written.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    with suppress(OSError):
        compiled_folder().mkdir(parents=True, exist_ok=True)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(compiled_folder())
        os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(10**9)
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.05"

# No test reads or fills the user's cache; those that are about a cache have one of their own.
os.environ["IFVIT_CACHE"] = "off"

# Checks each annotated shape and type at every call. It must be in place before ifvit is imported,
# and the tests import it only after this file. The numeric tower lets an int pass for a float.
install_import_hook("ifvit", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

MASTERS = 4
"""Synthetic fingers that the tests share. One number, so that growing is compiled once."""


def pytest_configure(config: pytest.Config) -> None:
    """Let pass beartype's remark on how flax declares ``nnx.List``: it is not about this code."""
    remark = "beartype.roar.BeartypeDecorHintPep585DeprecationWarning"
    config.addinivalue_line("filterwarnings", f"ignore::{remark}")
    # A cache that cannot be written to, or is damaged, makes the tests slower and no more.
    cache = "Error (reading|writing) persistent compilation cache entry"
    config.addinivalue_line("filterwarnings", f"ignore:{cache}:UserWarning")


LONGEST = (
    *("test_killed_commands.py", "training/test_gradients.py", "features/test_ridge_evidence.py"),
    *("sources/test_dense_synthetic.py", "training/test_print_steps.py", "training/test_chain.py"),
    *("test_cli.py", "evaluation/test_registration_quality.py", "models/test_loftr_parity.py"),
    *("training/test_schedules.py", "test_matcher.py", "export/test_graphs.py"),
    *("evaluation/test_exact_minutiae.py", "training/test_train_dense.py"),
    *("training/test_resume.py", "training/test_resume_options.py", "training/test_devices.py"),
    *("runtime/test_strict_settings.py", "runtime/test_engines.py", "service/test_page.py"),
)
"""Files whose tests take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes longest begin first: no process is left alone with it at the end."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


MAPPINGS = 30_000
"""Memory mappings at which compiled programs are forgotten: Linux gives a process 65,530 in all."""


@pytest.fixture(scope="module", autouse=True)
def _few_programs() -> Iterator[None]:
    """Forget compiled programs between two files of tests, once there are many.

    Each keeps several mappings, all tests together need more than a process may have, and the
    compiler that gets none ends in a segmentation fault.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > MAPPINGS:
        import jax

        jax.clear_caches()


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Take back how a command lets the package log: other tests count what is said."""
    root, own = logging.getLogger(), logging.getLogger("ifvit")
    before, level = list(root.handlers), own.level
    yield
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
    own.setLevel(level)


@pytest.fixture(scope="session")
def ifvit_data() -> Path:
    """The folder that holds real data sets such as ``fvc2002_db1_b``, from IFVIT_DATA."""
    folder = os.environ.get("IFVIT_DATA")
    if not folder:
        pytest.skip("needs real prints: set IFVIT_DATA to the folder that holds fvc2002_db1_b")
    if not Path(folder).is_dir():
        pytest.fail(f"IFVIT_DATA is not a folder: {folder}")
    return Path(folder)


@pytest.fixture(scope="session")
def loftr_ckpt() -> Path:
    """A trained LoFTR of 4 layers and 32 channels, LoFTR_teacher.pt, from IFVIT_LOFTR_CKPT.

    Published by Kolkir/Coarse_LoFTR_TRT (Apache-2.0).
    """
    file = os.environ.get("IFVIT_LOFTR_CKPT")
    if not file:
        pytest.skip("needs a trained LoFTR: set IFVIT_LOFTR_CKPT to LoFTR_teacher.pt")
    if not Path(file).is_file():
        pytest.fail(f"IFVIT_LOFTR_CKPT is not a file: {file}")
    return Path(file)


@pytest.fixture(scope="session")
def micro():
    """The smallest model that does everything: 6×6 cells, frames of 96 pixels at 500 ppi."""
    from ifvit.config import ModelConfig

    return ModelConfig(
        canvas=48,
        roi_px=24,
        backbone_widths=(8, 8, 16),
        d_model=16,
        num_layers=2,
        num_heads=2,
        embedding_dim=8,
    )


@pytest.fixture(scope="session")
def small():
    """A canvas of 64 pixels at 250 ppi, 128 at 500: a print of some ridges fits in."""
    from ifvit.config import ModelConfig

    return ModelConfig(
        canvas=64, backbone_widths=(8, 8, 8), d_model=16, num_layers=2, num_heads=2, embedding_dim=8
    )


@pytest.fixture(scope="session")
def graph_engine(tmp_path_factory):
    """Return what makes the engine of two models from their graphs, for which nothing compiles."""
    from ifvit.export.onnx_export import graph_bytes
    from ifvit.runtime.graph_record import GraphRecord
    from ifvit.runtime.onnx_runtime import OnnxEngine
    from ifvit.weights.settings import to_json
    from ifvit.weights.storage import MODULE_OF, graph_file
    from ifvit.weights.tensors import state_sha256

    def make(dense, matcher):
        from ifvit.config import DenseConfig

        folder = tmp_path_factory.mktemp("graphs")
        config = to_json(DenseConfig(model=dense.config))
        for graph, module in MODULE_OF.items():
            shas = state_sha256(dense), state_sha256(matcher)
            record = GraphRecord(graph, module, *shas, config, "Apache-2.0", "0")
            graph_file(folder, graph).write_bytes(graph_bytes(dense, matcher, record))
        return OnnxEngine(folder)

    return make


@pytest.fixture(scope="session")
def engine_of(small, graph_engine):
    """Return what makes an engine of random weights of a seed, for the small model."""
    from functools import cache

    from flax import nnx

    from ifvit.models import DenseRegModel, MatcherModel

    @cache
    def make(seed: int):
        dense = DenseRegModel(small, rngs=nnx.Rngs(seed))
        return graph_engine(dense, MatcherModel(small, rngs=nnx.Rngs(seed)))

    return make


@pytest.fixture(scope="session")
def ridge_print():
    """A print (128, 128) at 500 ppi that is cheap to make: circles, dark on white, in an oval."""
    import numpy as np

    y, x = np.mgrid[:128, :128]
    ridges = 0.5 + 0.4 * np.cos(2 * np.pi * np.hypot(x - 50.0, y - 70.0) / 9.0)
    oval = ((x - 63.5) / 0.45) ** 2 + ((y - 63.5) / 0.48) ** 2 < 128**2
    return np.where(oval, ridges, 1.0).astype(np.float32)


@pytest.fixture(scope="session")
def trained_pair(micro, tmp_path_factory) -> tuple[Path, Path]:
    """A checkpoint of each module, with random weights, that belong together; not to be changed."""
    from flax import nnx

    from ifvit.config import DenseConfig, MatchConfig, MatchStartConfig, RunConfig
    from ifvit.models import DenseRegModel, MatcherModel
    from ifvit.weights import Metadata, save_weights
    from ifvit.weights.storage import DENSE_FILE, MATCHER_FILE

    folder = tmp_path_factory.mktemp("trained")
    dense, matcher = folder / DENSE_FILE, folder / MATCHER_FILE
    config = DenseConfig(model=micro, run=RunConfig(str(folder)))
    meta = Metadata.of(config, epoch=1, metrics={"L_D": 2.5})
    sha256 = save_weights(dense, DenseRegModel(micro, rngs=nnx.Rngs(0)), meta)
    link = {"role": "dense_reg", "file": dense.name, "sha256": sha256, "note": "Module 1"}
    start = MatchStartConfig(pretrained_ckpt=str(dense))
    config = MatchConfig(model=micro, start=start)
    meta = Metadata.of(config, epoch=2, lineage=(link,))
    save_weights(matcher, MatcherModel(micro, rngs=nnx.Rngs(1)), meta)
    return dense, matcher


@contextmanager
def _unchecked() -> Iterator[None]:
    from ifvit.export import onnx_export
    from ifvit.export.parity import Differences

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_export, "expected_of", lambda *_: None)
        patch.setattr(onnx_export, "synthetic_frames", lambda config: None)
        patch.setattr(onnx_export, "differences", lambda *_: Differences(*[0] * 8, 1e-6))
        yield


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Write graphs without a comparison, which compiles both models."""
    with _unchecked():
        yield


@pytest.fixture(scope="session")
def exported(trained_pair, tmp_path_factory) -> Path:
    """A folder like ``ifvit/weights/shipped``, with that pair as ``small``; not to be changed."""
    from ifvit.export.release import export_pair

    folder = tmp_path_factory.mktemp("shipped")
    with _unchecked():
        export_pair(*trained_pair, folder / "small")
    return folder


@pytest.fixture(scope="session")
def two_frames(ridge_print):
    """Two prints (192, 192) at 500 ppi, twice the micro model's canvas: one moved on the other."""
    import numpy as np

    first = np.pad(ridge_print, 32, constant_values=1.0)
    return np.stack([first, np.roll(first, (10, -6), axis=(0, 1))])


@pytest.fixture(scope="session")
def expected_answers(trained_pair, two_frames):
    """What the trained pair makes of them in JAX, which takes long to compile."""
    from ifvit.export.parity import expected_of
    from ifvit.weights.modules import load_modules

    (dense, _), (matcher, _) = load_modules(*trained_pair)
    return expected_of(dense, matcher, two_frames)


@pytest.fixture(scope="session")
def graphs(trained_pair, two_frames, expected_answers, tmp_path_factory) -> Path:
    """A folder of the trained pair's ONNX graphs; not to be changed."""
    from ifvit.export import onnx_export

    out = tmp_path_factory.mktemp("graphs") / "new"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_export, "expected_of", lambda *_: expected_answers)
        onnx_export.export_onnx(out, *trained_pair, frames=two_frames)
    return out


@pytest.fixture(scope="session")
def masters():
    """The masters of fingers 0 to 3 under seed 0."""
    import jax.numpy as jnp

    from ifvit.synthesis import make_masters

    return make_masters(0, jnp.arange(MASTERS))


@pytest.fixture(scope="session")
def few_masters_per_call():
    """Let training grow as many masters in a call as the tests' own fixture does."""
    from ifvit.sources import masters as grown_masters

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grown_masters, "MASTERS_PER_CALL", MASTERS)
        yield


@pytest.fixture(scope="session")
def print_spec():
    """What is in :func:`print_folder`."""
    from ifvit.synthesis.dataset import DatasetSpec

    return DatasetSpec(fingers=3, impressions=2, height=96, width=112, maps=True, first_finger=5)


@pytest.fixture(scope="session")
def print_folder(tmp_path_factory, print_spec):
    """A folder of synthetic prints with their maps; tests must not change it."""
    from ifvit.synthesis.dataset import write_dataset

    folder = tmp_path_factory.mktemp("synthetic") / "prints"
    assert len(write_dataset(folder, print_spec)) == 6
    return folder
