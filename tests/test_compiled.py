"""Compiled programs are kept where they may be, and nowhere else."""

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from ifvit.commands import compiled

NAMES = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.fixture(autouse=True)
def settings_put_back():
    before = {name: getattr(jax.config, name) for name in NAMES}
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def test_what_is_compiled_is_kept_for_this_processor(tmp_path, monkeypatch):
    monkeypatch.setenv("IFVIT_CACHE", str(tmp_path))
    monkeypatch.setattr(compiled, "SHORTEST", 0.0)
    compiled.keep_compiled()
    assert float(jax.jit(lambda x: (x * 1.25).sum())(jnp.ones(7))) == 8.75
    (place,) = (tmp_path / "compiled").iterdir()
    assert any(path.name.startswith("jit_") for path in place.iterdir())
    monkeypatch.setattr(compiled, "_features", lambda: "flags: another processor")
    jax.config.update("jax_compilation_cache_dir", None)
    compiled.keep_compiled()
    assert len(list((tmp_path / "compiled").iterdir())) == 2


def test_a_place_that_was_named_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("IFVIT_CACHE", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "own"))
    compiled.keep_compiled()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "own")


def test_nothing_is_kept_where_nothing_can_be(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for named in (str(tmp_path / "file"), "off"):
        monkeypatch.setenv("IFVIT_CACHE", named)
        compiled.keep_compiled()
        assert jax.config.jax_compilation_cache_dir is None
