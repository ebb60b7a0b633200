"""A data set scored end to end, with random weights: rows, statuses, and runs that go on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from flax import nnx

from ifvit.comparison.decision import DECISION_FILE, load_decision
from ifvit.config import DenseConfig, MatchConfig
from ifvit.data.readers import read_dataset
from ifvit.evaluation.calibrate import calibrate
from ifvit.evaluation.evaluate import EvaluateConfig, evaluate
from ifvit.evaluation.protocols import all_pairs, write_comparisons
from ifvit.evaluation.scores import read_scores
from ifvit.files import sha256_of
from ifvit.matcher import Matcher
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.weights.checkpoint import save_weights
from ifvit.weights.metadata import Metadata


@pytest.fixture(scope="module")
def config(micro, tmp_path_factory, print_folder) -> EvaluateConfig:
    folder = tmp_path_factory.mktemp("evaluate")
    dense, matcher = folder / "dense.safetensors", folder / "matcher.safetensors"
    model = DenseRegModel(micro, rngs=nnx.Rngs(0))
    sha256 = save_weights(dense, model, Metadata.of(DenseConfig(model=micro)))
    link = {"role": "dense_reg", "file": dense.name, "sha256": sha256, "note": ""}
    meta = Metadata.of(MatchConfig(model=micro), lineage=(link,))
    save_weights(matcher, MatcherModel(micro, rngs=nnx.Rngs(1)), meta)
    return EvaluateConfig(
        str(print_folder), mode="template", dense_ckpt=str(dense), matcher_ckpt=str(matcher)
    )


@pytest.fixture(scope="module", autouse=True)
def one_matcher(config):
    """Load and compile once for all runs; what is tested is around it."""
    loaded = Matcher.from_checkpoints(config.dense_ckpt, config.matcher_ckpt)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Matcher, "from_checkpoints", lambda *_: loaded)
        yield


def test_templates_of_the_fvc_protocol(config, tmp_path):
    rows = read_scores(evaluate(replace(config, out=str(tmp_path))))
    # Three fingers of two impressions: F·K(K-1)/2 genuine and F(F-1)/2 impostor comparisons.
    assert [row.label for row in rows] == [1, 1, 1, 0, 0, 0]
    assert all(row.status == "ok" and -1 <= row.score <= 1 for row in rows)
    assert all((row.finger0 == row.finger1) == bool(row.label) for row in rows)
    for row in rows:
        assert row.score == row.map_score


@pytest.mark.parametrize("mode", ["pair", "template"])
@pytest.mark.heavy
def test_an_interrupted_run_goes_on_and_gives_the_same_table(config, tmp_path, mode, monkeypatch):
    whole = replace(config, mode=mode, protocol="all", out=str(tmp_path / "whole"))
    expected = evaluate(whole).read_bytes()
    assert len(expected.splitlines()) == 1 + 15
    parts = replace(whole, out=str(tmp_path / "parts"))
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    for size in (len(expected) // 2, 10):
        (tmp_path / "parts" / "scores.csv").write_bytes(expected[:size])
        assert evaluate(parts).read_bytes() == expected
    # A whole table is left as it is, and nothing is computed.
    monkeypatch.setattr(Matcher, "match_pairs", lambda *_: pytest.fail("computed again"))
    assert evaluate(parts).read_bytes() == expected


def test_pairs_in_one_call_score_as_each_by_itself(config, tmp_path):
    """Seven of fifteen pairs in the last call but one, and one in the last, filled up."""
    alone = replace(config, protocol="all", out=str(tmp_path / "alone"), workers=1)
    together = replace(alone, out=str(tmp_path / "together"), workers=7)
    for one, same in zip(
        read_scores(evaluate(alone)), read_scores(evaluate(together)), strict=True
    ):
        assert (one.name0, one.name1, one.status) == (same.name0, same.name1, same.status)
        assert one.score == pytest.approx(same.score, abs=1e-3)
        assert one.num_inliers == pytest.approx(same.num_inliers, abs=1)


def test_scores_of_another_run_are_not_mixed(config, tmp_path):
    evaluate(replace(config, out=str(tmp_path)))
    with pytest.raises(ValueError, match=r"another run: mode was template and is pair; choose"):
        evaluate(replace(config, out=str(tmp_path), mode="pair"))
    with pytest.raises(ValueError, match=r"comparisons was 6 and is 15"):
        evaluate(replace(config, out=str(tmp_path), protocol="all"))
    run = json.loads((tmp_path / "run.json").read_text())
    for key in ("fingerprint", "version"):
        (tmp_path / "run.json").write_text(json.dumps(run | {key: "another"}))
        with pytest.raises(ValueError, match=f"another run: {key} was another and is"):
            evaluate(replace(config, out=str(tmp_path)))
    assert run["comparisons"] == 6 and len(run["matcher_ckpt_sha256"]) == 64


@pytest.mark.heavy
def test_a_print_that_cannot_be_processed_is_a_row(config, tmp_path, print_folder, caplog):
    folder = tmp_path / "prints"
    shutil.copytree(print_folder, folder)
    name = next(p.path.name for p in read_dataset(folder))
    (folder / name).write_bytes(b"not an image")
    for mode in ("template", "pair"):
        out = str(tmp_path / mode)
        rows = read_scores(evaluate(replace(config, dataset_root=str(folder), out=out, mode=mode)))
        failed = [row for row in rows if name in (row.name0, row.name1)]
        assert failed and all(row.status == "failed" and row.score == -1 for row in failed)
        assert all(np.isnan(row.map_score) for row in failed)
        assert len(rows) == 6 > len(failed)
    assert f"{folder / name} counts as failed" in caplog.text


def test_a_list_of_comparisons(config, tmp_path, print_folder):
    prints = read_dataset(print_folder)
    pairs = all_pairs(prints)[::4]
    write_comparisons(tmp_path / "list.txt", pairs, prints, print_folder)
    out = str(tmp_path / "out")
    rows = read_scores(evaluate(replace(config, protocol=str(tmp_path / "list.txt"), out=out)))
    assert [row.label for row in rows] == [int(pair.genuine) for pair in pairs]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a b", "expected NAME0 NAME1 genuine|impostor"),
        ("NAME0 NAME1 maybe", "expected NAME0 NAME1 genuine|impostor"),
        ("none.png NAME1 genuine", "there is no print 'none.png'"),
        ("NAME0 NAME0 genuine", "compared with itself"),
        ("NAME0 NAME1 impostor", "impostor, but .* are of one finger"),
        ("NAME0 NAME2 genuine", "genuine, but .* are of two fingers"),
    ],
)
def test_a_wrong_line_is_named(config, tmp_path, print_folder, line, message):
    prints = read_dataset(print_folder)
    for number in range(3):
        line = line.replace(f"NAME{number}", prints[number].path.name)
    message = message.replace("NAME0", prints[0].path.name) if "expected" not in message else ""
    (tmp_path / "list.txt").write_text(f"# a list\n\n{line}\n")
    with pytest.raises(ValueError, match=rf"list\.txt, line 3: .*{message}"):
        evaluate(replace(config, protocol=str(tmp_path / "list.txt"), out=str(tmp_path)))


def test_other_protocols(config, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither fvc nor all, and no such file"):
        evaluate(replace(config, protocol="fvc2", out=str(tmp_path)))
    (tmp_path / "list.txt").write_text("# nothing\n")
    with pytest.raises(ValueError, match="lists no comparisons"):
        evaluate(replace(config, protocol=str(tmp_path / "list.txt"), out=str(tmp_path)))


def test_impostor_scores_calibrate_the_weights_that_gave_them(config, tmp_path):
    table = evaluate(replace(config, mode="pair", protocol="all", out=str(tmp_path / "pair")))
    sha256, out = sha256_of(config.matcher_ckpt), tmp_path / DECISION_FILE
    calibrate([table], out, sha256)
    found = load_decision(out)
    impostor = sorted(row.score for row in read_scores(table) if not row.label)
    assert (found.dense_sha256, found.matcher_sha256) == (sha256_of(config.dense_ckpt), sha256)
    np.testing.assert_array_equal(found.impostor, impostor)
    with pytest.raises(ValueError, match="no scores given"):
        calibrate([], out, sha256)
    with pytest.raises(ValueError, match="belongs to other weights"):
        calibrate([table], out, "0" * 64)
    templates = evaluate(replace(config, out=str(tmp_path / "template")))
    with pytest.raises(ValueError, match="stand-alone templates"):
        calibrate([templates], out, sha256)
    record = tmp_path / "pair" / "run.json"
    run = json.loads(record.read_text())
    record.write_text(json.dumps({k: v for k, v in run.items() if k != "fingerprint"}))
    with pytest.raises(ValueError, match="of an earlier version"):
        calibrate([table], out, sha256)
    record.unlink()
    with pytest.raises(FileNotFoundError, match="ifvit evaluate"):
        calibrate([table], out, sha256)
