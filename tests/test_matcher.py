import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from threadpoolctl import threadpool_limits

from ifvit.comparison.print_similarity import SHRINKAGE, template_similarity
from ifvit.comparison.score import IN_DOUBT, NOT_ALIGNED, in_doubt
from ifvit.config import DenseConfig, MatchConfig, ModelConfig
from ifvit.data.examples import example_prints
from ifvit.data.images import read_image
from ifvit.features.features import Features, features_of
from ifvit.features.fit import Fit, FitConfig
from ifvit.features.frame_features import FrameFeatures
from ifvit.files import sha256_of
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import cell_centres
from ifvit.geometry.transforms import apply, compose, invert, similarity
from ifvit.matcher import Matcher
from ifvit.models.coarse_matching import cell_matches, log_dual_softmax
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.registration.align import matched
from ifvit.registration.aligner import Aligner
from ifvit.registration.rectify import rectified
from ifvit.runtime.calls import CellMatches
from ifvit.runtime.jax_runtime import JaxEngine
from ifvit.weights.checkpoint import read_metadata, save_weights
from ifvit.weights.metadata import Metadata


@pytest.fixture(scope="module")
def matcher(engine_of) -> Matcher:
    """Random weights: nothing about a score can be said, but everything about the plumbing."""
    return Matcher(engine_of(0), fit_config=FitConfig(sizes=(1.0,)))


@pytest.fixture
def knowing(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> Matcher:
    """The same with a Module 1 that knows that two frames show the same, as one that is centred on
    its ridges does wherever these lie on the print."""
    aligner, centres = matcher.aligner, cell_centres(matcher.config)

    def target(transform: np.ndarray, field: np.ndarray | None) -> np.ndarray:
        placed = apply(invert(transform), centres)
        if field is None:
            return placed
        back = Displacement.of_frames(field, matcher.config).inverse(np.eye(2, 3))
        return placed + back.at(placed)

    def look(_pair, H_0to1, displacement=None):
        fields = [None] * len(H_0to1) if displacement is None else displacement
        targets = np.array(list(map(target, H_0to1, fields)))
        distance = ((targets[:, :, None] - centres) ** 2).sum(-1)
        log_p = log_dual_softmax(jnp.asarray(-distance / 128, jnp.float32))
        made = list(map(np.asarray, cell_matches(log_p, matcher.config.cells)))
        found = CellMatches(*made, spread0=np.full(made[1].shape, 0.1, np.float32))
        settings = aligner.align_config
        ways = matched(found, H_0to1, centres, settings, displacement)
        return rectified(ways, centres, settings.inlier_px)

    monkeypatch.setattr(aligner, "look", look)
    return matcher


def circles(side: int, centre: tuple[float, float], period: float) -> np.ndarray:
    """Return a square of ridges around ``centre``, white around it."""
    y, x = np.mgrid[:side, :side]
    ridges = 0.5 + 0.4 * np.cos(2 * np.pi * np.hypot(x - centre[0], y - centre[1]) / period)
    inside = (np.abs(x - side / 2) < 0.46 * side) & (np.abs(y - side / 2) < 0.46 * side)
    return np.where(inside, ridges, 1.0).astype(np.float32)


def drawn(matcher: Matcher, image: np.ndarray) -> FrameFeatures:
    """Return a print on the canvas that it would have by itself."""
    prepared = features_of(image)
    return matcher.extractor.at(prepared, matcher.extractor.fit(prepared))


@pytest.mark.heavy
def test_aligned_prints_get_scores_and_a_record(knowing: Matcher, ridge_print: np.ndarray) -> None:
    result = knowing.match(
        features_of(ridge_print, name="a"), features_of(np.roll(ridge_print, 5, axis=1))
    )
    assert result.ok and result.status == "ok"
    assert result.ridge_ncc is not None and result.ridge_ncc > 0.9
    assert result.coverage is not None and 0 < result.coverage <= 1
    assert result.overlap_mm2 is not None and result.overlap_mm2 > 0
    assert result.block_share is not None and 0 < result.block_share <= 1
    others = 0.25 * result.ridge_ncc + 0.05 * result.block_share + 0.20 * result.coverage
    assert result.score == pytest.approx(0.50 * result.map_score + others, abs=1e-6)
    assert -1.0 <= result.index_score <= 1.0
    assert -1.0 <= result.score <= 1.0
    assert result.num_inliers > 30
    np.testing.assert_allclose(result.alignment.H_0to1[:, 2], [5, 0], atol=1.5)
    record = json.loads(result.to_json())
    assert record["name0"] == "a"
    assert record["pose0"]["core"] == pytest.approx(result.templates[0].core, abs=0.01)
    assert record["num_matches"] == len(record["alignment"]["points0"])
    assert record["alignment"]["inliers"].count(True) == record["num_inliers"]


def test_a_pair_in_doubt_is_registered_again_and_the_better_registration_counts(
    knowing: Matcher, ridge_print: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search is made to miss by half a print, as it does where poses are off."""
    both = features_of(ridge_print), features_of(np.roll(ridge_print, 5, axis=1))
    right, search = knowing.match(*both), knowing.aligner.register_ordered

    def missing(pair, hint=None):
        found = search(pair, hint)
        away = compose(similarity(40, (80.0, 80.0)), found.H_0to1)
        none = np.zeros_like(found.inliers)
        return dataclasses.replace(
            found, H_0to1=away, ridge_ncc=0.0, block_share=0.0, coverage=0.0, inliers=none
        )

    monkeypatch.setattr(knowing.aligner, "register_ordered", missing)
    monkeypatch.setattr("ifvit.matcher.in_doubt", lambda score: False)
    wrong = knowing.match(*both)
    assert wrong.score < right.score - 0.2
    monkeypatch.setattr("ifvit.matcher.in_doubt", lambda score: True)
    again, back = knowing.match(*both), knowing.match(*both[::-1])
    assert again.score > (wrong.score + right.score) / 2
    np.testing.assert_allclose(again.alignment.H_0to1[:, 2], [5, 0], atol=1.5)
    assert back.score == again.score


def test_a_second_registration_never_lowers_a_score(
    knowing: Matcher, ridge_print: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = features_of(ridge_print), features_of(np.roll(ridge_print, 5, axis=1))
    first = knowing.match(*both)
    otherwise = knowing.aligner.register_otherwise

    def worse(pair, hint=None):
        return dataclasses.replace(otherwise(pair, hint), ridge_ncc=0.0, coverage=0.0)

    monkeypatch.setattr(knowing.aligner, "register_otherwise", worse)
    monkeypatch.setattr("ifvit.matcher.in_doubt", lambda score: True)
    assert knowing.match(*both).score == first.score


def test_a_clear_pair_is_registered_once(
    knowing: Matcher, ridge_print: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    low, high = IN_DOUBT
    assert [in_doubt(score) for score in (NOT_ALIGNED, low - 1e-9, low, high - 1e-9, high)] == [
        *(False, False, True, True, False)
    ]
    monkeypatch.setattr(knowing.aligner, "register_otherwise", None)
    result = knowing.match(features_of(ridge_print), features_of(ridge_print, name="the same"))
    assert result.score >= high


def test_swapped_prints_keep_the_score_and_transpose_the_matches(
    knowing: Matcher, ridge_print: np.ndarray
) -> None:
    both = (
        features_of(ridge_print, name="a"),
        features_of(np.roll(ridge_print, 5, axis=1), name="b"),
    )
    there, back = knowing.match(*both), knowing.match(*both[::-1])
    assert (back.name0, back.name1) == ("b", "a")
    for name in (
        "score",
        "map_score",
        "index_score",
        "ridge_ncc",
        "block_share",
        "coverage",
        "num_matches",
    ):
        assert getattr(back, name) == getattr(there, name)
    assert there in [back, there] and there != back  # arrays have no truth, results are compared
    one, two = there.alignment, back.alignment
    np.testing.assert_array_equal(one.points0, two.points1)
    np.testing.assert_array_equal(one.points1, two.points0)
    np.testing.assert_array_equal(one.inliers, two.inliers)
    np.testing.assert_allclose(invert(one.H_0to1), two.H_0to1, atol=1e-9)
    np.testing.assert_array_equal(there.image0, back.image1)
    assert there.templates == back.templates[::-1]
    # The same skin, distortion included, whichever way the map is followed.
    inner = one.points0[one.inliers]
    returned = two.place(one.place(inner))
    assert one.displacement is not None and np.abs(one.displacement.values).max() > 0
    np.testing.assert_allclose(returned, inner, atol=0.2)


def test_a_print_and_itself_have_one_template(matcher: Matcher, ridge_print: np.ndarray) -> None:
    item = features_of(ridge_print)
    first, second = matcher.embed([item, ridge_print])
    assert first is matcher.coder.template(item)
    np.testing.assert_array_equal(first.cells, second.cells)
    shown = first.mask.sum()
    of_maps, of_index = template_similarity(first, second)
    assert of_maps == pytest.approx(shown / (shown + SHRINKAGE), abs=0.01)
    assert of_index == pytest.approx(1, abs=1e-6)


def test_prints_that_cannot_be_aligned_say_so(matcher: Matcher, ridge_print: np.ndarray) -> None:
    result = matcher.match(features_of(ridge_print), features_of(np.ones_like(ridge_print)))
    assert (result.status, result.score) == ("not_aligned", -1.0)
    assert "cannot be aligned" in result.reason
    assert json.loads(result.to_json())["ridge_ncc"] is None


def test_one_against_many_is_each_pair_and_prepares_the_probe_once(
    knowing: Matcher, ridge_print: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [ridge_print, np.roll(ridge_print, 5, axis=1), np.roll(ridge_print, 9, axis=0)]
    probe, *candidates = (features_of(one, name=str(i)) for i, one in enumerate(shown))
    drawn_of: list[tuple[str, Fit]] = []
    whole = Features.drawn

    def counted(self: Features, fit: Fit) -> np.ndarray:
        drawn_of.append((self.name, fit))
        return whole(self, fit)

    monkeypatch.setattr(Features, "drawn", counted)
    found = knowing.match_many(probe, candidates)
    # Each once for its pair and once for its template, and the probe no oftener than that.
    assert len(drawn_of) == len(set(drawn_of))
    assert sorted(name for name, _ in drawn_of) == ["0", "0", "1", "1", "2", "2"]
    assert [(one.name0, one.name1) for one in found] == [("0", "1"), ("0", "2")]
    for one, candidate in zip(found, candidates, strict=True):
        assert one.to_json() == knowing.match(probe, candidate).to_json()
    assert knowing.match_many(probe, []) == []


def test_no_pairs_give_no_results(matcher: Matcher) -> None:
    assert matcher.match_pairs([]) == []


@pytest.mark.heavy
def test_threads_share_one_matcher(knowing: Matcher, ridge_print: np.ndarray) -> None:
    shown = [features_of(np.roll(ridge_print, shift, axis=1)) for shift in (0, 5, 9)]
    pairs = [(one, other) for one in shown for other in shown] * 2
    alone = [knowing.match(*pair).to_json() for pair in pairs[:9]]
    assert [found.to_json() for found in knowing.match_pairs(pairs)] == alone * 2


@pytest.mark.parametrize("shape", [(100,), (0, 4), (3, 100, 100)])
def test_what_is_no_picture_is_refused(matcher: Matcher, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected finite grey values of shape \(H, W\)"):
        features_of(np.ones(shape, np.float32))
    with pytest.raises(ValueError, match="finite"):
        features_of(np.full((128, 128), np.nan, np.float32))


def test_modules_of_different_shapes_are_refused(small: ModelConfig) -> None:
    other = dataclasses.replace(small, num_layers=4)
    dense = DenseRegModel(other, rngs=nnx.Rngs(0))
    said = "different shapes: num_layers is 4 in Module 1 and 2 in Module 2; pass"
    with pytest.raises(ValueError, match=said):
        JaxEngine(dense, MatcherModel(small, rngs=nnx.Rngs(0)))


def _checkpoints(folder: Path, small: ModelConfig, role: str) -> tuple[Path, Path, Path]:
    """Write a Module 1, a Module 2 from it, and a Module 1 that has nothing to do with it."""
    paths = folder / "dense.safetensors", folder / "matcher.safetensors", folder / "x.safetensors"
    config = dataclasses.asdict(DenseConfig(model=small))
    hashes = [
        save_weights(path, DenseRegModel(small, rngs=nnx.Rngs(seed)), Metadata("dense_reg", config))
        for seed, path in ((0, paths[0]), (1, paths[2]))
    ]
    lineage = {"role": role, "file": "dense.safetensors", "sha256": hashes[0], "note": ""}
    if role == "scratch":
        lineage.update(file="", sha256="")
    metadata = Metadata(
        "matcher",
        dataclasses.asdict(MatchConfig(model=small)),
        lineage=(lineage,),
    )
    save_weights(paths[1], MatcherModel(small, rngs=nnx.Rngs(2)), metadata)
    return paths


def test_checkpoints_must_belong_together(tmp_path: Path, small: ModelConfig) -> None:
    dense, module2, stranger = _checkpoints(tmp_path, small, "dense_reg")
    assert Matcher.from_checkpoints(dense, module2).decision.matcher_sha256 == sha256_of(module2)
    with pytest.raises(ValueError, match=r"was not trained from .*x\.safetensors"):
        Matcher.from_checkpoints(stranger, module2)
    with pytest.raises(ValueError, match="Module 1"):
        Matcher.from_checkpoints(module2, module2)


def test_a_module_1_that_was_trained_on_goes_with_the_matcher(
    tmp_path: Path, small: ModelConfig
) -> None:
    dense, module2, _ = _checkpoints(tmp_path, small, "dense_reg")
    (origin,) = read_metadata(module2).lineage
    for sha256, ok in ((origin["sha256"], True), ("0" * 64, False)):
        link = {**origin, "sha256": sha256}
        metadata = dataclasses.replace(read_metadata(dense), lineage=(link,))
        later = tmp_path / f"later{ok}.safetensors"
        save_weights(later, DenseRegModel(small, rngs=nnx.Rngs(5)), metadata)
        if ok:
            Matcher.from_checkpoints(later, module2)
            continue
        with pytest.raises(ValueError, match="was not trained from"):
            Matcher.from_checkpoints(later, module2)


def test_a_matcher_from_scratch_goes_with_any_module_1(tmp_path: Path, small: ModelConfig) -> None:
    dense, module2, stranger = _checkpoints(tmp_path, small, "scratch")
    for path in (dense, stranger):
        Matcher.from_checkpoints(path, module2)


@pytest.mark.heavy
def test_a_larger_canvas_than_in_training(
    tmp_path: Path, small: ModelConfig, ridge_print: np.ndarray
) -> None:
    dense, module2, _ = _checkpoints(tmp_path, small, "dense_reg")
    larger = Matcher.from_checkpoints(dense, module2, canvas=96)
    prepared = features_of(np.pad(ridge_print, 32, constant_values=1.0))
    assert larger.extractor.fit(prepared)[1:] == (96, 192)
    assert larger.match(prepared, prepared).image0.shape == (192, 192)
    for canvas_side in (32, 100):
        with pytest.raises(ValueError, match="multiple of 32, at least the 64"):
            Matcher.from_checkpoints(dense, module2, canvas=canvas_side)


def test_pairs_of_different_sizes_are_each_as_by_themselves(engine_of) -> None:
    """Three canvases and two scales side by side: what shares a matcher must not share a result."""
    matcher = Matcher(engine_of(0))
    shapes = [(128, (50.0, 70.0), 9.0), (128, (70.0, 60.0), 6.3), (190, (90.0, 100.0), 9.0)]
    prints = [features_of(circles(*shape)) for shape in shapes]
    pairs = [(prints[i], prints[j]) for i, j in ((0, 0), (1, 1), (2, 2), (0, 2), (2, 0))]
    assert len({matcher.extractor.fit(*pair) for pair in pairs}) == 3
    for pair, found in zip(pairs, matcher.match_pairs(pairs), strict=True):
        alone = matcher.match(*(features_of(one.image) for one in pair))
        assert found.image0 is pair[0].image and found.image1 is pair[1].image
        assert found.status == alone.status
        assert found.score == pytest.approx(alone.score, abs=1e-6)


def test_a_print_is_drawn_anew_for_another_enhancer(engine_of, ridge_print) -> None:
    made, item = [], features_of(ridge_print)
    for enhancer in ("gabor", "none"):
        aligner = Aligner(engine_of(0), enhancer=enhancer)
        made.append(aligner.extractor.at(item, aligner.extractor.fit(item)))
    assert made[0].source is None and made[1].source is not None


def test_what_is_measured_does_not_depend_on_the_threads_that_compute_products() -> None:
    """To the last bit: a product that several threads share is rounded otherwise."""
    made = []
    for threads in (1, 2, 3):
        with threadpool_limits(limits=threads, user_api="blas"):
            prints = [features_of(path) for path in map(read_image, example_prints())]
        made.append([(one.period, one.evidence, one.reach_px, one.digest) for one in prints])
    assert made[0] == made[1] == made[2]
