import numpy as np
import pytest

from ifvit.gallery.template import Templates, load_templates, save_templates, template_scores


def templates(seed: int, prints: int, sha256: str = "ab" * 32) -> Templates:
    drawn = np.random.default_rng(seed).normal(size=(prints, 2, 8)).astype(np.float32)
    unit = drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)
    return Templates(tuple(f"{seed}_{i}.png" for i in range(prints)), unit, sha256, 0.6)


def test_the_product_is_the_fused_score():
    first, second = templates(0, 3), templates(1, 4)
    found = template_scores(first, second)
    each = np.einsum("pbe,qbe->pqb", first.embeddings, second.embeddings)
    np.testing.assert_allclose(found, each @ [0.6, 0.4], atol=1e-6)
    np.testing.assert_allclose(template_scores(second, first), found.T, atol=1e-7)


def test_a_template_against_itself_scores_highest():
    own = templates(0, 20)
    found = template_scores(own, own)
    np.testing.assert_allclose(np.diag(found), 1.0, atol=1e-6)
    assert (found.argmax(axis=1) == np.arange(20)).all()


def test_permuting_the_gallery_permutes_the_scores():
    probe, gallery = templates(0, 3), templates(1, 6)
    order = np.random.default_rng(2).permutation(6)
    names = tuple(gallery.names[i] for i in order)
    mixed = Templates(names, gallery.embeddings[order], gallery.matcher_sha256, 0.6)
    expected = template_scores(probe, gallery)[:, order]
    np.testing.assert_array_equal(template_scores(probe, mixed), expected)


def test_files_come_back_and_other_weights_are_refused(tmp_path):
    own = templates(0, 3)
    save_templates(tmp_path / "t.npz", own)
    again = load_templates(tmp_path / "t.npz")
    assert (again.names, again.matcher_sha256, again.fusion_global) == (own.names, "ab" * 32, 0.6)
    np.testing.assert_array_equal(again.embeddings, own.embeddings)
    with pytest.raises(ValueError, match="made by Module 2 abababababab and cdcdcdcdcdcd"):
        template_scores(own, templates(1, 2, "cd" * 32))


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
