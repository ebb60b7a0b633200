"""The step of Module 2: what it trains, by which losses, in parts, and on from where it stopped."""

import json
import os
import signal
from copy import copy
from dataclasses import replace
from operator import itemgetter

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from safetensors.numpy import load_file

from ifvit.config import MatchLossConfig, RunConfig
from ifvit.models.embedding import MatcherModel
from ifvit.training import match
from ifvit.training.guard import Stopped
from ifvit.training.print_steps import (
    LOSSES,
    LossSettings,
    PrintTrainer,
    core_cells,
    on_canvas,
    print_step,
)

pytestmark = pytest.mark.heavy

SETTINGS = LossSettings.of(MatchLossConfig())


@pytest.fixture(scope="module")
def batch(prints):
    return prints.batch(0, 8)


@pytest.fixture(scope="module")
def sgd():
    """Plain gradient descent: what stands still has no gradient, decay or momentum to blame."""
    return optax.sgd(1e-2)


def fresh(micro) -> PrintTrainer:
    return PrintTrainer(MatcherModel(micro, rngs=nnx.Rngs(0)), 4, rngs=nnx.Rngs(1))


def values(model: nnx.Module, kind: type[nnx.Variable] = nnx.Param) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(model, kind))
    return {"/".join(map(str, path)): np.array(var[...]) for path, var in flat}


def test_a_step_trains_every_part_on_the_weighted_sum(batch, micro, sgd):
    trainer = fresh(micro)
    before, statistics = values(trainer), values(trainer, nnx.BatchStat)
    found = print_step(trainer, nnx.Optimizer(trainer, sgd, wrt=nnx.Param), batch, SETTINGS)
    assert set(found) == {*LOSSES, "loss"}
    weights = {"L_D": 0.3, "L_P": 1.0, "L_M": 1.0, "L_E": 0.5, "L_A": 0.02}
    total = sum(weights[name] * float(found[name]) for name in LOSSES)
    assert float(found["loss"]) == pytest.approx(total, rel=1e-5)
    after = values(trainer)
    parts = ("ResNet18", "loftr_transformer_global", "DenseMatchingHead", "PoseHead")
    for name in (*(f"model/{part}" for part in (*parts, "EmbeddingHead")), "prototypes", "log_sca"):
        own = [key for key in before if key.startswith(name)]
        assert own and any(not np.array_equal(before[key], after[key]) for key in own), name
    moved = values(trainer, nnx.BatchStat)
    assert not any(np.array_equal(statistics[name], moved[name]) for name in statistics)


def test_training_lowers_the_losses(batch, micro):
    """The same prints over and over: maps that tell four fingers apart are soon found."""
    trainer = fresh(micro)
    optimizer = nnx.Optimizer(trainer, optax.adam(1e-2), wrt=nnx.Param)
    found = [print_step(trainer, optimizer, batch, SETTINGS) for _ in range(15)]
    for name in ("L_M", "L_P", "L_E"):
        assert float(found[-1][name]) < 0.8 * float(found[0][name]), name


def test_in_parts_the_losses_are_those_of_the_parts(batch, micro, sgd):
    """Fingers 0 and 2 in the first of two, 1 and 3 in the second; both prints of each."""
    whole, one = fresh(micro), fresh(micro)
    found = print_step(whole, nnx.Optimizer(whole, sgd, wrt=nnx.Param), batch, SETTINGS, 2)
    still = nnx.Optimizer(one, optax.sgd(0.0), wrt=nnx.Param)
    each = []
    for pairs in (np.array([0, 2]), np.array([1, 3])):
        rows = np.stack([2 * pairs, 2 * pairs + 1], axis=1).reshape(-1)
        part = jax.tree.map(itemgetter(rows), batch._replace(matches0=None))
        part = part._replace(matches0=batch.matches0[pairs])
        each.append(print_step(one, still, part, SETTINGS))
    for name in LOSSES:
        mean = (float(each[0][name]) + float(each[1][name])) / 2
        assert float(found[name]) == pytest.approx(mean, rel=1e-3), name


def test_cores_in_cells_and_which_of_them_count(batch, micro):
    """The first cell is 16 px wide, its centre at 7.5; the sixth ends at 95.5."""
    core = jnp.array([[7.5, 23.5], [-8.6, 7.5], [7.5, 103.4], [7.5, 103.6]])
    cells = core_cells(batch._replace(pose=batch.pose._replace(core=core)), micro)
    np.testing.assert_allclose(cells[0], [0.0, 1.0], atol=1e-6)
    np.testing.assert_array_equal(on_canvas(cells, micro), [True, False, True, False])


def test_a_run_goes_on_bit_for_bit(match_config, prints, one_optimizer, tmp_path, monkeypatch):
    """With a running mean of the weights, and prototypes and temperatures in its state."""
    monkeypatch.setattr(match, "VALIDATION_PRINTS", 4)
    optim = replace(match_config.optim, epochs=2, ema=0.9)
    long = replace(match_config, optim=optim, loss=MatchLossConfig(num_classes=4))

    def run(name: str, stop: int | None = None) -> dict[str, np.ndarray]:
        source, make = copy(prints), prints.batch

        def signalled(index: int, size: int):
            if index == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            return make(index, size)

        source.batch = signalled
        config = replace(long, run=RunConfig(str(tmp_path / name)))
        return load_file(match.train_match(config, (source, prints)))

    whole = run("whole")
    with pytest.raises(Stopped, match="goes on"):
        run("broken", stop=2)
    resumed = run("broken")
    lines = (tmp_path / "broken" / "metrics.jsonl").read_text().splitlines()
    assert "resume" in [json.loads(line)["event"] for line in lines]
    assert whole.keys() == resumed.keys() and len(whole) > 10
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)
