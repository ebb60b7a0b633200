"""The directory of a run: its lock, its settings, and its records."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from flax import nnx

from ifvit.config import NAMED_BY_GROUP, TrainConfig
from ifvit.files import keep_earlier
from ifvit.locks import folder_lock
from ifvit.training.devices import is_first, wait_for_all
from ifvit.training.guard import Stopped
from ifvit.training.states import Checkpoints, shapes_of
from ifvit.training.tensorboard import check_tensorboard
from ifvit.weights.settings import RETIRED, grouped, to_json

logger = logging.getLogger("ifvit")

STATE = "state"
"""Folder of a run's states, beside its checkpoint and ``metrics.jsonl``."""

METRICS = "metrics.jsonl"
"""The file beside the checkpoint in which a run's settings and metrics are recorded."""

HOUSEKEEPING = (
    *("checkpoint_dir", "resume", "override", "save_minutes", "keep_states"),
    *("tensorboard", "prefetch", "devices", "coordinator", "num_processes", "process_id"),
)
"""Settings that may differ when a run goes on: they do not change what it learns."""


@dataclasses.dataclass
class Clock:
    """The progress of a run: steps taken, the sum of each loss over the ``count`` steps since the
    epoch began, and the metrics of the last epoch."""

    step: int = 0
    count: int = 0
    sums: dict[str, float] = dataclasses.field(default_factory=dict)
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)

    def add(self, losses: Sequence[Mapping[str, float]]) -> None:
        """Count the losses of steps that were taken."""
        self.step += len(losses)
        self.count += len(losses)
        for one in losses:
            for name, value in one.items():
                self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Return the mean of each loss since the epoch began, and begin the next one."""
        made = {name: total / self.count for name, total in self.sums.items()}
        self.count, self.sums = 0, {}
        return made


class Run:
    """One training run in one directory. :func:`open_run` makes it."""

    def __init__(self, config: TrainConfig, path: Path, states: Checkpoints) -> None:
        """Compare the newest state's settings with these, and raise ValueError where they differ.

        ``path`` is that of the checkpoint, beside which everything else is kept.
        """
        self.config, self.path, self.directory, self.states = config, path, path.parent, states
        self.clock, self._saved_at = Clock(), time.monotonic()
        self._settings = json.loads(to_json(config))
        readable = (saved for step in states.steps() if (saved := states.progress(step)))
        newest = next(readable, None)
        if newest is not None:
            self._check_settings(newest["module"], newest["config"])

    def _check_settings(self, module: str, saved: dict[str, Any]) -> None:
        if module != type(self.config).__name__:
            raise ValueError(
                f"{self.directory} holds a run of another module (a {module}, not a "
                f"{type(self.config).__name__}): give another --checkpoint-dir"
            )
        # A setting that is newer than the run counts as having had its default.
        usual = json.loads(to_json(type(self.config)()))
        changed = differences(merged(usual, grouped(saved)), self._settings)
        if not changed:
            return
        if not self.config.run.override:
            raise ValueError(
                f"{self.directory} holds a run with other settings ({'; '.join(changed)}): give "
                "another --checkpoint-dir, --override to go on with it nevertheless, or "
                "--no-resume to start anew and keep it aside"
            )
        logger.warning("going on with other settings: %s", "; ".join(changed))

    @property
    def due(self) -> bool:
        """Return whether the last state is ``save_minutes`` old."""
        return time.monotonic() - self._saved_at >= 60 * self.config.run.save_minutes

    def start(self, modules: Mapping[str, nnx.Pytree], extra: dict[str, Any]) -> None:
        """Fill the modules and the clock from the newest state that is whole, if there is one.

        Damaged states are passed over with a warning, and set aside. Where there is none, a new run
        begins: the checkpoint of an earlier one is kept, and ``extra`` goes into the first line.
        Raises ValueError where the newest state has other shapes.
        """
        steps = self.states.steps()
        for step in steps:
            saved = self.states.progress(step)
            if saved is not None:
                _check_shapes(self.directory, saved["shapes"], shapes_of(modules))
                if self.states.restore(step, modules, saved["sha256"]):
                    self.clock = Clock(**{**saved["clock"], "step": step})
                    logger.info("going on from step %d in %s", step, self.directory)
                    self.record({"event": "resume", "step": step, "config": self._settings})
                    return
            self.states.set_aside(step)
        if steps:
            logger.warning("%s holds no state that is whole: starting anew", self.directory)
        if is_first():
            keep_earlier(self.path)
        self.record({"event": "start", "config": self._settings, **extra})

    def save(
        self, modules: Mapping[str, nnx.Pytree], metrics: dict[str, float] | None = None
    ) -> None:
        """Write the present state; raises as ``Checkpoints.save``.

        ``metrics`` are those of validation, at the end of an epoch.
        """
        self._saved_at = time.monotonic()
        progress = {
            "module": type(self.config).__name__,
            "config": self._settings,
            "shapes": shapes_of(modules),
            "clock": dataclasses.asdict(self.clock),
        }
        self.states.save(self.clock.step, modules, progress, metrics)

    def stop_if(self, signum: int) -> None:
        """Where a signal asks for it, raise :class:`Stopped` once the state is written."""
        if not signum:
            return
        self.states.wait()
        raise Stopped(
            f"stopped at step {self.clock.step}, saved in {self.directory}: the same command "
            "goes on from there",
            signum,
        )

    def record(self, line: dict[str, Any]) -> None:
        """Append a line to ``metrics.jsonl``, after whatever a killed run left unfinished."""
        if not is_first():
            return
        path = self.directory / METRICS
        cut = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if cut else "") + json.dumps(line) + "\n")


@contextmanager
def open_run(config: TrainConfig, path: Path, score: Callable[[Any], float]) -> Iterator[Run]:
    """Lock the directory of the checkpoint ``path``, and open the run that is in it or a new one.

    ``score`` rates validation metrics: the best state is kept beside the newest. A new run moves
    earlier files aside. Raises ValueError where another process trains in the directory, or where
    its run has other settings and ``config`` does not override them; OSError where nothing can be
    written.
    """
    check_tensorboard(config.run.tensorboard)
    directory = path.parent
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if is_first():
            stack.enter_context(folder_lock(directory, "training", "--checkpoint-dir"))
            if not config.run.resume:
                keep_earlier(directory / STATE)
        wait_for_all("the directory is ours")
        states = Checkpoints(directory / STATE, config.run.keep_states, score)
        stack.callback(states.close)
        yield Run(config, path, states)


def differences(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> list[str]:
    """List the settings that differ, as ``name: before → after``, without housekeeping.

    Their names are those of the command line.
    """
    found = []
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{name}." if name in NAMED_BY_GROUP else "")
        elif old != new and name not in HOUSEKEEPING:
            found.append(f"{prefix}{name}: {old} → {new}")
    return sorted(found)


def merged(usual: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return ``own`` settings, with missing ones as in ``usual`` and retired ones left out."""
    inner = {
        name: merged(usual[name], value)
        for name, value in own.items()
        if isinstance(value, dict) and isinstance(usual.get(name), dict)
    }
    return {k: v for k, v in {**usual, **own, **inner}.items() if k not in RETIRED}


def _check_shapes(directory: Path, saved: dict[str, Any], wanted: dict[str, list[int]]) -> None:
    wrong = sorted(
        name for name in saved.keys() | wanted.keys() if saved.get(name) != wanted.get(name)
    )
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"the run in {directory} has arrays of other shapes than these settings give, "
            f"{len(wrong)} of them, the first {name}: {saved.get(name)} there, "
            f"{wanted.get(name)} here; give another --checkpoint-dir"
        )
