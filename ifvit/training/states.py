"""The states of a run on disk, by Orbax: all that training needs to be resumed bit for bit.

Every call of Orbax is in this file. Results, for others to use, are safetensors
(:mod:`ifvit.weights.checkpoint`); a state holds the optimizer too, and belongs to one run.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from ifvit.files import keep_earlier
from ifvit.training.devices import is_first, wait_for_all

logger = logging.getLogger("ifvit")

Arrays = dict[str, jax.Array]


class Checkpoints:
    """The states of one run, by step: the newest ``keep`` of them, and the best.

    States are written while training goes on; each appears under its name when it is complete.
    """

    def __init__(self, directory: Path, keep: int, score: Callable[[Any], float]) -> None:
        """Open or create the folder. ``score`` rates validation metrics."""
        best = BestN(get_metric_fn=score, n=1, keep_checkpoints_without_metrics=False)
        self.directory = directory.absolute()
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=AnyPreservationPolicy([LatestN(keep), best]),
                # What a killed run left half written; the run's lock says that it is nobody's.
                cleanup_tmp_directories=True,
            ),
        )

    def steps(self) -> list[int]:
        """Return the steps of all states, the newest first."""
        return sorted(self._manager.all_steps(), reverse=True)

    def save(
        self,
        step: int,
        modules: Mapping[str, nnx.Pytree],
        progress: dict[str, Any],
        metrics: dict[str, float] | None = None,
    ) -> None:
        """Begin to write a state, once the one before it is written.

        ``progress`` is any JSON. Raises OSError where this state or the one before cannot be
        written, and ValueError where it is not finite; complete states stay.
        """
        arrays = arrays_of(modules)
        wrong = [name for name, array in arrays.items() if not np.isfinite(array).all()]
        if wrong:
            raise ValueError(
                f"{wrong[0]} is not finite after step {step}: training stopped, what was saved "
                "before stands; lower --learning-rate"
            )
        record = {**progress, "sha256": digest(arrays)}
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(arrays), progress=ocp.args.JsonSave(record)
        )
        try:
            self._manager.wait_until_finished()
            self._manager.save(step, args=args, metrics=metrics)
        except Exception as error:  # Orbax passes on whatever its storage raises.
            raise _cannot_save(self.directory, error) from error

    def wait(self) -> None:
        """Wait until everything is written; raises as :meth:`save`."""
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise _cannot_save(self.directory, error) from error

    def progress(self, step: int) -> dict[str, Any] | None:
        """Return what was saved as progress, or None where it cannot be read."""
        found = self._read(step, progress=ocp.args.JsonRestore())
        return None if found is None else dict(found["progress"])

    def restore(self, step: int, modules: Mapping[str, nnx.Pytree], sha256: str) -> bool:
        """Fill the modules from a state; False, with a warning, where it is damaged.

        The modules are filled from a whole state or not at all. Raises ValueError where a state has
        other shapes than the modules.
        """
        read = self._read(step, state=ocp.args.StandardRestore(arrays_of(modules)))
        if read is None:
            return False
        found = read["state"]
        if digest(found) != sha256:
            self._warn(step, "its bytes are not those that were saved")
            return False
        for name, module in modules.items():
            flat = nnx.to_flat_state(nnx.state(module))
            filled = [(path, var.replace(found[_key(name, path)])) for path, var in flat]
            nnx.update(module, nnx.from_flat_state(filled))
        return True

    def _read(self, step: int, **args: Any) -> Any:
        with _orphans_unheard():
            try:
                return self._manager.restore(step, args=ocp.args.Composite(**args))
            except Exception as error:  # Orbax passes on whatever its storage raises.
                self._warn(step, " ".join(str(error).split())[:200])
            # Only here, where there are orphans: it looks at every object of the process.
            gc.collect()
            return None

    def _warn(self, step: int, why: str) -> None:
        path = self.directory / str(step)
        logger.warning("the state %s is damaged and is passed over: %s", path, why)

    def set_aside(self, step: int) -> None:
        """Move a damaged state out of the way: its step will be written again."""
        place = self.directory.with_name(f"damaged-{step}")
        if is_first():
            keep_earlier(place)
            (self.directory / str(step)).rename(place)
        wait_for_all(f"state {step} is out of the way")
        self._manager.reload()

    def close(self) -> None:
        """End Orbax's threads. What is being written is finished first."""
        self._manager.close()


def arrays_of(modules: Mapping[str, nnx.Pytree]) -> Arrays:
    """Return every array of some modules' state, by module and path."""
    return {
        _key(name, path): var[...]
        for name, module in modules.items()
        for path, var in nnx.to_flat_state(nnx.state(module))
    }


def shapes_of(modules: Mapping[str, nnx.Pytree]) -> dict[str, list[int]]:
    """Return the shape of each of :func:`arrays_of`, as JSON has it."""
    return {name: list(array.shape) for name, array in arrays_of(modules).items()}


def digest(arrays: Mapping[str, Any]) -> str:
    """Return the sha256 of arrays and their names, whatever their order.

    Orbax does not notice every bit that flips in what it stored.
    """
    made = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        made.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        made.update(np.ascontiguousarray(array).tobytes())
    return made.hexdigest()


def _key(name: str, path: tuple) -> str:
    return "/".join([name, *map(str, path)])


@contextmanager
def _orphans_unheard() -> Iterator[None]:
    """Let the reads that Orbax had begun when the first of them failed be cleared away quietly.

    Otherwise each would print pages of its own when Python's garbage collection reaches it.
    """
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = hook


def _cannot_save(directory: Path, error: Exception) -> OSError:
    why = " ".join(str(error).split())[:200] or type(error).__name__
    return OSError(
        f"the state of the run cannot be written to {directory}: {why}; what was saved before "
        "stands: make room there, and the same command goes on from it"
    )
