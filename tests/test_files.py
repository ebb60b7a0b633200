from ifvit.files import keep_earlier


def test_an_earlier_checkpoint_is_kept(tmp_path):
    path = tmp_path / "dense_reg_ckpt.safetensors"
    keep_earlier(path)
    for content in ("first", "second"):
        path.write_text(content)
        keep_earlier(path)
        assert not path.exists()
    kept = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert kept == {
        "dense_reg_ckpt.1.safetensors": "first",
        "dense_reg_ckpt.2.safetensors": "second",
    }
