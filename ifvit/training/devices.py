"""Which devices a run trains on: the pairs of a batch divided among them, the weights on each.

It uses JAX's own means: arrays on a mesh, from whose placement the compiler derives the exchange of
gradients and of batch statistics; and ``jax.distributed``, which joins the devices of several
processes to one mesh. With one device and one process nothing here has an effect.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ifvit.config import HardwareConfig

logger = logging.getLogger("ifvit")

Batch = TypeVar("Batch")

SECONDS_TO_END = 30
"""Seconds for which a process that ends waits for the others, which may have failed."""


def connect(hardware: HardwareConfig) -> None:
    """Join the other processes of the run, if ``hardware`` names any, before JAX computes anything.

    Raises ValueError for options that do not go together, and OSError where the others cannot be
    reached.
    """
    given = (hardware.num_processes, hardware.process_id)
    if hardware.coordinator is None:
        if given != (None, None):
            raise ValueError(
                "num_processes and process_id belong to a run of several processes: give "
                "--coordinator HOST:PORT too, the same to each of them"
            )
        return
    if jax.distributed.is_initialized():
        return
    found = hardware.coordinator == "auto"
    if not found and (None in given or ":" not in hardware.coordinator):
        raise ValueError(
            f"coordinator is {hardware.coordinator}: expected HOST:PORT of process 0 with "
            "--num-processes and --process-id, or auto under Slurm, Open MPI or on a TPU pod"
        )
    try:
        jax.distributed.initialize(
            None if found else hardware.coordinator,
            *given,
            cluster_detection_method=None if found else "deactivate",
            shutdown_timeout_seconds=SECONDS_TO_END,
        )
    except (RuntimeError, ValueError) as error:
        raise OSError(
            f"the other processes cannot be joined by way of {hardware.coordinator}: {error}"
        ) from error
    if not is_first():
        # Every process would print the same.
        logger.setLevel(logging.WARNING)


def is_first() -> bool:
    """Return whether this process is the one that writes and prints; as a rule, it is the only
    one."""
    return jax.process_index() == 0


def wait_for_all(where: str) -> None:
    """Wait until every process has reached this place."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)


def agreed(*values: int) -> tuple[int, ...]:
    """Return, for each value, the largest among the processes, so that all do the same."""
    if jax.process_count() == 1:
        return values
    return tuple(multihost_utils.process_allgather(np.array(values)).max(axis=0).tolist())


def gathered(array: jax.Array) -> np.ndarray:
    """Return the whole of an array whose parts may lie with several processes."""
    if array.is_fully_addressable or array.is_fully_replicated:
        return np.asarray(array)
    return multihost_utils.process_allgather(array, tiled=True)


class Devices:
    """The devices of a run, as a mesh with one axis: pairs."""

    def __init__(self, hardware: HardwareConfig, batch_size: int, together: int = 1) -> None:
        """Take the devices that ``hardware`` asks for, or as many as divide the batches evenly.

        ``together`` is the number of consecutive rows of a batch that stay on one device. Raises
        ValueError where there are too few devices, or where the batches cannot be divided.
        """
        there = jax.devices()
        pairs = batch_size // (hardware.accumulate * together)
        count = hardware.devices
        if count is None:
            fitting = [n for n in range(1, len(there) + 1) if pairs % n == 0]
            count = fitting[-1] if jax.process_count() == 1 else len(there)
        if count > len(there) or (jax.process_count() > 1 and count != len(there)):
            raise ValueError(
                f"devices is {count}, but there are {len(there)}: omit --devices, or set it to "
                "that number; several processes use all of theirs"
            )
        if pairs % count:
            raise ValueError(
                f"batch_size is {batch_size}, which cannot be divided evenly among {count} "
                f"devices and accumulate={hardware.accumulate} parts: give a multiple of both"
                + (f", {together} prints of a finger together" if together > 1 else "")
            )
        self.mesh = Mesh(np.array(there[:count]), ("pairs",))
        if len(there) > 1:
            logger.info("training on %d of %d devices", count, len(there))

    def replicate(self, modules: Mapping[str, nnx.Pytree]) -> None:
        """Put every array of the modules on each device."""
        for module in modules.values():
            nnx.update(module, self._place(nnx.state(module), PartitionSpec()))

    def shard(self, batch: Batch) -> Batch:
        """Divide a batch, arrays whose first axis is the pairs, among the devices.

        Each process makes the whole batch and keeps its part. To make only a part would mean to
        split every source, and this way batch i is the same for any number of devices.
        """
        return self._place(batch, PartitionSpec("pairs"))

    def _place(self, tree: Any, spec: PartitionSpec) -> Any:
        if self.mesh.size == 1:
            return tree
        sharding = NamedSharding(self.mesh, spec)
        if jax.process_count() == 1:
            return jax.device_put(tree, sharding)

        def place(array: Any) -> jax.Array:
            whole = np.asarray(array)
            return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

        return jax.tree.map(place, tree)
