import numpy as np
import pytest

from ifvit.comparison.print_similarity import map_similarity
from ifvit.gallery.template import (
    Templates,
    load_templates,
    save_templates,
    template_scores,
    templates_of,
)


def templates(seed: int, prints: int, sha256: str = "ab" * 32, side: int = 20) -> Templates:
    rng = np.random.default_rng(seed)
    mask = rng.random((prints, side, side)) > 0.3
    cells = rng.normal(size=(prints, side, side, 8))
    cells = cells / np.linalg.norm(cells, axis=-1, keepdims=True) * mask[..., None]
    index = rng.normal(size=(prints, 256))
    index = index / np.abs(index).max(axis=1, keepdims=True)
    names = tuple(f"{seed}_{i}.png" for i in range(prints))
    scaled = [np.round(127 * values).astype(np.int8) for values in (cells, index)]
    return Templates(names, scaled[0], mask, scaled[1], sha256)


def test_both_stages_are_matrix_products_of_what_is_stored():
    first, second = templates(0, 3), templates(1, 4)
    cells = [one.cells.astype(np.float32) / 127 for one in (first, second)]
    expected = map_similarity(cells[0], first.mask, cells[1], second.mask)
    np.testing.assert_allclose(template_scores(first, second), expected, atol=1e-6)
    one, two = (
        t.index / np.linalg.norm(t.index.astype(float), axis=1)[:, None] for t in (first, second)
    )
    np.testing.assert_allclose(template_scores(first, second, "index"), one @ two.T, atol=1e-6)
    for stage in ("index", "map"):
        there, back = template_scores(first, second, stage), template_scores(second, first, stage)
        np.testing.assert_allclose(back, there.T, atol=1e-6)


def test_a_template_has_the_size_that_is_documented():
    assert templates(0, 2).bytes_each == 3200 + 50 + 256


def test_a_template_that_shows_nothing_comes_back_and_is_like_none(tmp_path):
    own = templates(0, 2)
    own.cells[1], own.mask[1], own.index[1] = 0, False, 0
    save_templates(tmp_path / "t.npz", own)
    again = load_templates(tmp_path / "t.npz")
    assert template_scores(again, again)[1].tolist() == [0, 0]
    assert template_scores(again, again, "index")[1].tolist() == [0, 0]


def test_no_templates_are_an_error():
    with pytest.raises(ValueError, match="expected at least one print"):
        templates_of([], [], "ab")


def test_a_template_against_itself_scores_highest():
    own = templates(0, 20)
    found = template_scores(own, own)
    assert np.diag(found).min() > 0.9
    assert (found.argmax(axis=1) == np.arange(20)).all()


def test_permuting_the_gallery_permutes_the_scores():
    probe, gallery = templates(0, 3), templates(1, 6)
    order = np.random.default_rng(2).permutation(6)
    names = tuple(gallery.names[i] for i in order)
    parts = gallery.cells[order], gallery.mask[order], gallery.index[order]
    mixed = Templates(names, *parts, gallery.matcher_sha256)
    expected = template_scores(probe, gallery)[:, order]
    np.testing.assert_allclose(template_scores(probe, mixed), expected, atol=1e-6)


def test_files_come_back_and_other_weights_are_refused(tmp_path):
    own = templates(0, 3)
    save_templates(tmp_path / "t.npz", own)
    again = load_templates(tmp_path / "t.npz")
    assert (again.names, again.matcher_sha256) == (own.names, "ab" * 32)
    for part in ("cells", "mask", "index"):
        np.testing.assert_array_equal(getattr(again, part), getattr(own, part))
    with pytest.raises(ValueError, match="made by Module 2 abababababab and cdcdcdcdcdcd"):
        template_scores(own, templates(1, 2, "cd" * 32))


def test_templates_of_before_say_what_to_do(tmp_path):
    unit = np.ones((1, 2, 4), np.float32) / 2
    np.savez(tmp_path / "t.npz", ifvit=np.array("{}"), names=np.array(["a"]), embeddings=unit)
    with pytest.raises(ValueError, match="of an earlier ifvit: embed the prints again"):
        load_templates(tmp_path / "t.npz")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected templates"):
        load_templates(tmp_path / "none.npz")
    path = tmp_path / "t.npz"
    save_templates(path, templates(0, 3))
    cut = path.read_bytes()[:-20]
    np.savez(tmp_path / "other.npz", x=np.zeros(2))
    np.savez(tmp_path / "object.npz", ifvit=np.array({}, dtype=object))
    path.write_bytes(cut)
    for name in ("t.npz", "other.npz", "object.npz"):
        with pytest.raises(ValueError, match="cannot be read"):
            load_templates(tmp_path / name)
