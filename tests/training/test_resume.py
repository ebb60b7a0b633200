"""A run goes on bit for bit, whatever ended it, and says so where it cannot."""

import dataclasses
import errno
import json
import os
import shutil
import signal
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ifvit.config import DenseConfig, MatchConfig, OptimConfig, RunConfig
from ifvit.training.guard import Stopped
from ifvit.training.history import runs_below, summary
from ifvit.training.loop import Task, fit, make_optimizer
from ifvit.training.run import Clock, differences, open_run
from ifvit.training.states import Checkpoints, arrays_of, digest

OPTIM, RUN = OptimConfig(epochs=3, pairs_per_epoch=8, batch_size=2), RunConfig("not used")
CONFIG = DenseConfig(optim=OPTIM, run=RUN)
STEPS = 12


@cache
def first_optimizer(optim: OptimConfig) -> nnx.Optimizer:
    return make_optimizer(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), optim)


def optimizer_of(model: nnx.Linear, optim: OptimConfig) -> nnx.Optimizer:
    """Make an optimizer that shares its functions with others of the same settings: a compiled
    step is found again only for the very same functions."""
    return nnx.Optimizer(model, first_optimizer(optim).tx, wrt=nnx.Param)


@nnx.jit
def step_of(model: nnx.Linear, optimizer: nnx.Optimizer, x: jax.Array, y: jax.Array) -> jax.Array:
    """Take one step, compiled once for all runs; return the loss."""

    def objective(model):
        return jnp.square(model(x) - y).mean()

    loss, grads = nnx.value_and_grad(objective)(model)
    optimizer.update(model, grads)
    return loss


class Toy:
    """A linear map, trained by AdamW on batches that are a function of their number."""

    def __init__(self, folder: Path, config: DenseConfig = CONFIG) -> None:
        self.config, self.path, self.taken = config, folder / "ckpt", []
        self.model = nnx.Linear(3, 2, rngs=nnx.Rngs(config.run.seed))
        self.modules = {"model": self.model, "optimizer": optimizer_of(self.model, config.optim)}
        self.before = self.after = lambda index: None

    def step(self, index: int) -> dict:
        self.before(index)
        self.taken.append(index)
        x, y = jax.random.normal(jax.random.key(index), (2, 2, 3))

        loss = step_of(self.model, self.modules["optimizer"], x, y[:, :2])
        self.after(index)
        return {"L_D": loss}

    def save(self, epoch: int, step: int, metrics: dict[str, float]) -> None:
        self.path.write_text(json.dumps([epoch, step, metrics]))

    def fit(self) -> Path:
        task = Task(
            ("L_D",),
            self.modules,
            self.path,
            self.step,
            # The second epoch is the best.
            lambda: {"val_auc": float(np.exp(-abs(self.taken[-1] - 7)))},
            self.save,
        )
        with open_run(self.config, self.path, lambda metrics: metrics["val_auc"]) as run:
            return fit(task, self.config, run)

    @property
    def sha256(self) -> str:
        return digest(arrays_of(self.modules))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing ended: its arrays, and what it wrote."""
    toy = Toy(tmp_path_factory.mktemp("whole"))
    toy.fit()
    assert toy.taken == list(range(STEPS))
    return toy


def epochs(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    kept = [line for line in lines if line["event"] == "epoch"]
    return [{name: line[name] for name in ("epoch", "L_D", "val_auc")} for line in kept]


def stop_at(toy: Toy, step: int, signum: int = signal.SIGTERM) -> Stopped:
    """Run until a signal comes in the middle of a step."""
    toy.before = lambda index: index == step and os.kill(os.getpid(), signum)
    with pytest.raises(Stopped) as caught:
        toy.fit()
    return caught.value


@pytest.mark.parametrize("step", [0, 2, 3, 5, 7, 10])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, whole, step):
    first = Toy(tmp_path)
    stopped = stop_at(first, step)
    assert stopped.exit_code == 128 + signal.SIGTERM
    assert f"step {step + 1}" in str(stopped) and "goes on" in str(stopped)
    assert first.taken[-1] == step
    second = Toy(tmp_path)
    second.fit()
    assert second.taken == list(range(step + 1, STEPS))
    assert second.sha256 == whole.sha256
    assert second.path.read_text() == whole.path.read_text()
    # The epoch that was broken in two has the mean of all its steps.
    assert epochs(tmp_path) == epochs(whole.path.parent)


def test_ctrl_c_stops_the_same_way(tmp_path, whole):
    assert stop_at(Toy(tmp_path), 4, signal.SIGINT).exit_code == 130
    again = Toy(tmp_path)
    again.fit()
    assert again.sha256 == whole.sha256


def test_a_second_signal_does_not_wait(tmp_path):
    toy = Toy(tmp_path)
    toy.before = lambda index: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt) as caught:
        toy.fit()
    assert not isinstance(caught.value, Stopped)


def test_a_last_step_that_is_stopped_ends_the_run(tmp_path, whole):
    toy = Toy(tmp_path)
    toy.before = lambda index: index == STEPS - 1 and os.kill(os.getpid(), signal.SIGTERM)
    toy.fit()
    assert toy.sha256 == whole.sha256


def test_a_run_that_breaks_goes_on_from_its_last_state(tmp_path, whole):
    """By the clock, not only at the end of an epoch: here after every look at the losses."""
    first = Toy(tmp_path, replace(CONFIG, run=replace(RUN, save_minutes=0.0)))
    first.before = lambda index: 1 / (index - 9)
    with pytest.raises(ZeroDivisionError):
        first.fit()
    second = Toy(tmp_path)
    second.fit()
    assert second.taken[0] == 8 and second.sha256 == whole.sha256


def test_a_finished_run_has_nothing_left(tmp_path, whole):
    Toy(tmp_path).fit()
    again = Toy(tmp_path)
    again.path.unlink()
    assert again.fit().read_text() == whole.path.read_text()
    assert again.taken == [] and again.sha256 == whole.sha256


def test_the_newest_states_and_the_best_are_kept(whole):
    assert states(whole.path.parent) == [8, 12]
    five = Toy(whole.path.parent / "five", replace(CONFIG, optim=replace(OPTIM, epochs=5)))
    five.fit()
    # Validation liked the end of the second epoch best.
    assert states(five.path.parent) == [8, 16, 20]


def states(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in (folder / "state").iterdir())


def test_other_settings_are_refused_and_listed(tmp_path):
    stop_at(Toy(tmp_path), 5)
    optim, run = replace(OPTIM, learning_rate=0.5, epochs=4), replace(RUN, save_minutes=1.0)
    other = replace(CONFIG, optim=optim, run=run)
    with pytest.raises(ValueError, match="other settings") as caught:
        Toy(tmp_path, other).fit()
    assert "(epochs: 3 → 4; learning_rate: 0.001 → 0.5)" in str(caught.value)
    assert "--override" in str(caught.value) and "--no-resume" in str(caught.value)


def test_override_goes_on_and_says_what_changed(tmp_path, caplog):
    stop_at(Toy(tmp_path), 5)
    toy = Toy(
        tmp_path, replace(CONFIG, optim=replace(OPTIM, epochs=4), run=replace(RUN, override=True))
    )
    toy.fit()
    assert toy.taken == list(range(6, 16))
    assert "epochs: 3 → 4" in caplog.text


def test_without_resume_all_is_kept_aside(tmp_path, whole):
    Toy(tmp_path).fit()
    fresh = Toy(tmp_path, replace(CONFIG, run=replace(RUN, resume=False)))
    fresh.fit()
    assert fresh.taken == list(range(STEPS)) and fresh.sha256 == whole.sha256
    assert (tmp_path / "ckpt.1").exists() and (tmp_path / "state.1").is_dir()


def side_by_side(config: dict) -> dict:
    """Settings as runs before the groups recorded them."""
    return {"model": config["model"]} | {
        name: value
        for group, own in config.items()
        if group != "model"
        for name, value in own.items()
    }


class Earlier(Toy):
    """A run that records its settings side by side, and none that are younger than it."""

    def fit(self) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ifvit.training.run.to_json", self.recorded)
            return super().fit()

    @staticmethod
    def recorded(config: DenseConfig) -> str:
        old = side_by_side(dataclasses.asdict(config))
        del old["rotation_growth"], old["prefetch"]
        return json.dumps(old | {"fusion_ridge": 0.2})


def test_a_run_of_before_the_groups_goes_on_bit_for_bit(tmp_path, whole, caplog):
    stop_at(Earlier(tmp_path), 5)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    (start,) = (json.loads(line) for line in lines if "start" in line)
    assert start["config"]["epochs"] == 3 and "optim" not in start["config"]
    again = Toy(tmp_path)
    again.fit()
    assert again.taken == list(range(6, STEPS)) and again.sha256 == whole.sha256
    assert "other settings" not in caplog.text
    # The same run for `ifvit runs`, whose newest settings lie in groups.
    assert "other than the preset paper: batch_size: 128 → 2; epochs: 100 → 3; " in summary(
        runs_below(tmp_path)
    )


def test_a_run_of_before_the_groups_is_refused_with_other_settings(tmp_path):
    stop_at(Earlier(tmp_path), 5)
    other = replace(CONFIG, optim=replace(OPTIM, learning_rate=0.5))
    with pytest.raises(ValueError, match=r"settings \(learning_rate: 0.001 → 0.5\): give"):
        Toy(tmp_path, other).fit()
    assert "epoch 1/3" in summary(runs_below(tmp_path))


def test_a_run_of_another_module_is_refused(tmp_path):
    with open_run(DenseConfig(), tmp_path / "ckpt", lambda metrics: 0.0) as run:
        run.save({"model": nnx.Linear(1, 1, rngs=nnx.Rngs(0))})
    with (
        pytest.raises(ValueError, match="another module"),
        open_run(MatchConfig(), tmp_path / "ckpt", lambda metrics: 0.0),
    ):
        pass


def test_arrays_of_other_shapes_are_refused(tmp_path):
    stop_at(Toy(tmp_path), 5)
    toy = Toy(tmp_path, replace(CONFIG, run=replace(RUN, override=True)))
    toy.model = nnx.Linear(3, 4, rngs=nnx.Rngs(0))
    toy.modules["model"] = toy.model
    with pytest.raises(ValueError, match=r"other shapes .* model/bias: \[2\] there, \[4\] here"):
        toy.fit()


def test_two_runs_in_one_directory_are_refused(tmp_path):
    def score(metrics):
        return 0.0

    with (
        open_run(CONFIG, tmp_path / "ckpt", score),
        pytest.raises(ValueError, match=f"process {os.getpid()}, is training"),
        open_run(CONFIG, tmp_path / "ckpt", score),
    ):
        pass
    with open_run(CONFIG, tmp_path / "ckpt", score):
        pass


# Reads that Orbax has begun when the first of them fails come back to nobody.
orphans = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


@orphans
@pytest.mark.parametrize(("damage", "step"), [(flip, 1), (cut, 3), (Path.unlink, 1)])
@pytest.mark.heavy
def test_a_damaged_state_is_passed_over(tmp_path, whole, caplog, damage, step):
    """Whichever of its files is hit: the run ends as if nothing had been.

    A file that is cut, which is easier to notice, is tried in every third.
    """
    stop_at(Toy(tmp_path / "run"), 5)
    state = Path("state", "6", "state")
    firsts = []
    for number, file in enumerate(files(tmp_path / "run" / state)[::step]):
        copy = tmp_path / str(number)
        shutil.copytree(tmp_path / "run", copy)
        damage(copy / file.relative_to(tmp_path / "run"))
        toy = Toy(copy)
        toy.fit()
        assert toy.sha256 == whole.sha256
        firsts.append(toy.taken[0])
        assert (copy / "damaged-6").is_dir() == (toy.taken[0] == 4)
    # Some of what Orbax writes is not needed to read it again.
    assert set(firsts) <= {4, 6} and 4 in firsts
    assert "6 is damaged and is passed over" in caplog.text


@orphans
def test_progress_that_cannot_be_read_is_passed_over(tmp_path, whole, caplog):
    stop_at(Toy(tmp_path), 5)
    for path in files(tmp_path / "state" / "6" / "progress"):
        cut(path)
    toy = Toy(tmp_path)
    toy.fit()
    assert toy.taken[0] == 4 and toy.sha256 == whole.sha256
    assert "6 is damaged" in caplog.text


@orphans
def test_without_a_whole_state_it_starts_anew_and_says_so(tmp_path, whole, caplog):
    stop_at(Toy(tmp_path), 1)
    (largest,) = sorted(files(tmp_path / "state" / "2" / "state"), key=lambda f: f.stat().st_size)[
        -1:
    ]
    flip(largest)
    toy = Toy(tmp_path)
    toy.path.write_text("of an earlier run")
    toy.fit()
    assert toy.taken == list(range(STEPS)) and toy.sha256 == whole.sha256
    assert "no state that is whole: starting anew" in caplog.text
    assert (tmp_path / "ckpt.1").read_text() == "of an earlier run"


def test_a_bit_that_orbax_does_not_notice_is_noticed(tmp_path):
    module = {"model": nnx.Linear(3, 2, rngs=nnx.Rngs(0))}
    checkpoints = Checkpoints(tmp_path / "state", 2, lambda metrics: 0.0)
    checkpoints.save(1, module, {})
    checkpoints.wait()
    before = digest(arrays_of(module))
    assert checkpoints.progress(1) == {"sha256": before}
    assert not checkpoints.restore(1, module, "another")
    assert checkpoints.restore(1, module, before)
    checkpoints.close()
    arrays = arrays_of(module)
    arrays["model/kernel"] = jnp.nextafter(arrays["model/kernel"], jnp.inf)
    assert digest(arrays) != before


def test_a_full_disk_stops_with_one_line_and_keeps_what_was_saved(tmp_path, whole, monkeypatch):
    toy = Toy(tmp_path)
    toy.before = lambda index: (
        index == 5 and monkeypatch.setattr("orbax.checkpoint.CheckpointManager.save", no_room)
    )
    with pytest.raises(OSError, match=r"cannot be written to .*No space left") as caught:
        toy.fit()
    assert "\n" not in str(caught.value) and "goes on" in str(caught.value)
    monkeypatch.undo()
    again = Toy(tmp_path)
    again.fit()
    assert again.taken[0] == 4 and again.sha256 == whole.sha256


def no_room(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    """The loss before them was finite; nothing could ever be trained from such a state."""
    toy = Toy(tmp_path)

    def poison(index: int) -> None:
        if index == 7:
            toy.model.bias[...] = jnp.full(2, jnp.nan)

    toy.after = poison
    with pytest.raises(ValueError, match="model/bias is not finite after step 8"):
        toy.fit()
    assert states(tmp_path) == [4]


def test_a_line_that_was_cut_short_stays_by_itself(tmp_path):
    stop_at(Toy(tmp_path), 5)
    log = tmp_path / "metrics.jsonl"
    log.write_text(log.read_text() + '{"event": "ep')
    Toy(tmp_path).fit()
    cut_short, *rest = log.read_text().splitlines()[-4:]
    assert cut_short == '{"event": "ep'
    assert [json.loads(line)["event"] for line in rest] == ["resume", "epoch", "epoch"]


def test_clock_sums_and_starts_again():
    clock = Clock()
    clock.add([{"a": 1.0}, {"a": 2.0}])
    assert clock == Clock(2, 2, {"a": 3.0})
    assert clock.means() == {"a": 1.5}
    assert clock == Clock(2)


def test_differences_by_hand():
    before = {"run": {"seed": 0, "keep_states": 2}, "model": {"canvas": 64, "ppi": 250}}
    after = {"run": {"seed": 1, "keep_states": 3}, "model": {"canvas": 96, "ppi": 250}, "new": 5}
    expected = ["model.canvas: 64 → 96", "new: None → 5", "seed: 0 → 1"]
    assert differences(before, after) == expected
    assert differences(before, before) == []


def test_nothing_is_held_back_afterwards(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    stop_at(Toy(tmp_path), 1)
    assert signal.getsignal(signal.SIGTERM) is before
