"""LoFTR checkpoints converted: the known layouts, and everything that must be refused.

Whether the converted numbers compute the same is asked in tests/models/test_loftr_parity.py.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ifvit.files import sha256_of
from ifvit.models.tokens import position_encoding
from ifvit.weights.convert import TABLE, convert_loftr
from ifvit.weights.loftr import read_loftr

LAYERS, WIDTH = 2, 8


def transformer(
    prefix: str = "", layers: int = LAYERS, width: int = WIDTH
) -> dict[str, torch.Tensor]:
    """A state dict of random numbers with LoFTR's names and shapes."""
    generator = torch.Generator().manual_seed(layers * width)
    shapes = {"mlp.0.weight": (2 * width, 2 * width), "mlp.2.weight": (width, 2 * width)}
    made = {}
    for layer in range(layers):
        for name in TABLE:
            shape = (width,) if name.startswith("norm") else shapes.get(name, (width, width))
            made[f"{prefix}layers.{layer}.{name}"] = torch.randn(shape, generator=generator)
    return made


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "loftr_transformer.npz"


def refused(source: Path, output: Path, **options) -> str:
    """Return the one-line message with which a conversion is refused; nothing may be written."""
    with pytest.raises(ValueError) as error:
        convert_loftr(source, output, **options)
    assert not output.parent.exists(), "something was written"
    assert str(source) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


REST = {"backbone.conv1.weight": torch.zeros(3, 3), "backbone.bn1.weight": torch.zeros(3)}
FINE = transformer("loftr_fine.", 2, 4)


@pytest.mark.parametrize(
    ("content", "prefix"),
    [
        (
            {"state_dict": {"matcher." + k: v for k, v in (REST | FINE).items()}
             | transformer("matcher.loftr_coarse.")},
            "matcher.loftr_coarse.",
        ),
        ({"state_dict": REST | FINE | transformer("loftr_coarse.")}, "loftr_coarse."),
        ({"epoch": 3, "model_state_dict": transformer("loftr_coarse.")}, "loftr_coarse."),
        ({"model": {"state_dict": transformer("module.loftr_coarse.")}}, "module.loftr_coarse."),
        (REST | FINE | transformer("loftr_coarse."), "loftr_coarse."),
        (FINE | transformer("transformer."), "transformer."),
        (transformer(), ""),
    ],
    ids=["official", "kornia", "trainer", "wrapped twice", "bare", "other name", "alone"],
)  # fmt: skip
def test_the_transformer_is_found_in_the_known_layouts(tmp_path, output, content, prefix):
    source = saved(tmp_path / "outdoor_ds.ckpt", content)
    convert_loftr(source, output)
    arrays, record = read_loftr(output)
    assert (record.prefix, record.num_layers, record.d_model) == (prefix, LAYERS, WIDTH)
    assert (record.source_file, record.source_sha256) == ("outdoor_ds.ckpt", sha256_of(source))
    assert (record.num_heads, record.temp_bug_fix, record.temp_bug_fix_from) == (
        None,
        False,
        "assumed",
    )
    theirs = transformer()
    assert len(arrays) == len(theirs) == 20
    for name, tensor in theirs.items():
        number, part = name.removeprefix("layers.").split(".", 1)
        ours = arrays[f"layers/{number}/{TABLE[part]}"]
        assert ours.dtype == np.float32
        # A linear layer's matrix is turned over; the norms' vectors are not, having one axis.
        np.testing.assert_array_equal(ours, tensor.numpy().T)


def test_the_layout_of_another_name_is_found_by_prefix(tmp_path, output, caplog):
    student, teacher = transformer("student.coarse.", 4), transformer("teacher.coarse.", 2)
    source = saved(tmp_path / "x.ckpt", student | teacher)
    message = refused(source, output)
    assert "'student.coarse.', 'teacher.coarse.'" in message and "--prefix" in message
    assert "expected one of 'student.coarse.'" in refused(source, output, prefix="coarse")
    with caplog.at_level("INFO", "ifvit"):
        convert_loftr(source, output, prefix="student.coarse")
    assert read_loftr(output).record.num_layers == 4
    assert "left out, 20 tensors: teacher 20" in caplog.text


def test_a_converted_file_is_the_same_at_every_conversion_and_plain(tmp_path, output):
    source = saved(tmp_path / "x.ckpt", transformer())
    convert_loftr(source, output)
    first = output.read_bytes()
    convert_loftr(source, output)
    assert output.read_bytes() == first
    # The earlier file is kept, whatever it was.
    assert (output.parent / "loftr_transformer.1.npz").read_bytes() == first
    with np.load(output, allow_pickle=False) as archive:
        assert json.loads(str(archive["ifvit"]))["source_file"] == "x.ckpt"


def test_the_released_shape_is_known_to_have_eight_heads(tmp_path, output):
    source = saved(tmp_path / "x.ckpt", transformer("loftr_coarse.", 8, 256))
    arrays, record = convert_loftr(source, output)
    assert record.num_heads == 8
    summary = "80 parameter arrays, 5.25 M parameters, 8 layers (self, cross × 4), d=256"
    assert record.summary(arrays) == summary


def test_what_the_tensors_do_not_say_can_be_stated(tmp_path, output):
    source = saved(tmp_path / "x.ckpt", transformer())
    record = convert_loftr(source, output, num_heads=2, temp_bug_fix=True).record
    assert (record.num_heads, record.temp_bug_fix, record.temp_bug_fix_from) == (2, True, "stated")


@pytest.mark.parametrize("heads", [3, -1, 0])
def test_heads_must_divide_the_width(tmp_path, output, heads):
    with pytest.raises(ValueError, match=rf"num_heads is {heads}: expected a divisor .* 8"):
        convert_loftr(saved(tmp_path / "x.ckpt", transformer()), output, num_heads=heads)
    assert not output.parent.exists()


@pytest.mark.parametrize("prefix", ["", "loftr_coarse."])
@pytest.mark.parametrize("fixed", [True, False])
def test_a_position_encoding_in_the_file_is_recognised(tmp_path, output, fixed, prefix):
    table = torch.tensor(position_encoding(32, 24, WIDTH, fixed)).permute(2, 0, 1)[None]
    source = saved(tmp_path / "x.ckpt", transformer(prefix) | {f"{prefix}pos_encoding.pe": table})
    record = convert_loftr(source, output).record
    assert (record.temp_bug_fix, record.temp_bug_fix_from) == (fixed, "read")


def test_half_precision_becomes_float32(tmp_path, output):
    source = saved(tmp_path / "x.ckpt", {k: v.bfloat16() for k, v in transformer().items()})
    arrays = convert_loftr(source, output).arrays
    wanted = transformer()["layers.1.merge.weight"].bfloat16().float().numpy().T
    np.testing.assert_array_equal(arrays["layers/1/merge/kernel"], wanted)


def test_all_that_does_not_fit_is_in_one_error(tmp_path, output):
    content = transformer("loftr_coarse.")
    del content["loftr_coarse.layers.1.norm2.bias"]
    content["loftr_coarse.layers.0.q_proj.bias"] = torch.zeros(WIDTH)
    content["loftr_coarse.layers.0.k_proj.weight"] = torch.zeros(WIDTH, 5)
    content["loftr_coarse.layers.0.v_proj.weight"][0, 0] = torch.nan
    content["loftr_coarse.layers.0.merge.weight"] = torch.zeros(WIDTH, WIDTH, dtype=torch.int64)
    message = refused(saved(tmp_path / "x.ckpt", content), output)
    for piece in (
        "loftr_coarse.layers.1.norm2.bias is missing",
        "loftr_coarse.layers.0.q_proj.bias has no place",
        "loftr_coarse.layers.0.k_proj.weight has shape (8, 5), expected (8, 8)",
        "loftr_coarse.layers.0.v_proj.weight holds values that are not finite",
        "loftr_coarse.layers.0.merge.weight holds int64",
    ):
        assert piece in message


def test_another_architecture_with_the_same_layers_is_refused(tmp_path, output):
    content = transformer("loftr_coarse.") | {"loftr_coarse.norm.weight": torch.ones(WIDTH)}
    message = refused(saved(tmp_path / "x.ckpt", content), output)
    assert "loftr_coarse.norm.weight has no place in the model" in message


def test_a_gap_in_the_layers_is_missing_layers(tmp_path, output):
    content = {k: v for k, v in transformer(layers=4).items() if ".1." not in k}
    assert "layers.1.q_proj.weight is missing" in refused(saved(tmp_path / "x", content), output)
    forged = transformer() | {"layers.999999999.q_proj.weight": torch.zeros(WIDTH, WIDTH)}
    assert "layers.999999999.q_proj.weight has no place" in refused(
        saved(tmp_path / "y", forged), output
    )


def test_a_file_cut_short(tmp_path, output):
    whole = saved(tmp_path / "whole.ckpt", {"state_dict": transformer("loftr_coarse.")})
    cut = tmp_path / "cut.ckpt"
    for size in (0, 10, 2000, whole.stat().st_size - 30):
        cut.write_bytes(whole.read_bytes()[:size])
        assert "cannot be read as a PyTorch checkpoint" in refused(cut, output)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2, 3], "holds a list, not a checkpoint"),
        ("text", "holds a str, not a checkpoint"),
        ({"epoch": 3}, "no named tensors: found the keys epoch"),
        ({}, "no named tensors: found the keys none"),
        ({"state_dict": {}}, "no named tensors"),
        ({"a": torch.zeros(2)}, "holds no LoFTR transformer: .*found a"),
        ({"layers.0.q_proj.weight": torch.zeros(8, 8)}, "has no norm1.weight"),
        (transformer() | {"x": torch.zeros(2, 2).to_sparse()}, "x cannot be read .sparse_coo"),
    ],
)
def test_a_pickle_that_is_no_checkpoint(tmp_path, output, content, message):
    import re

    assert re.search(message, refused(saved(tmp_path / "x.ckpt", content), output))


def test_a_dictionary_that_holds_itself_is_no_endless_loop(tmp_path, output):
    content: dict = {}
    content["model"] = content
    assert "holds a dict, not a checkpoint" in refused(saved(tmp_path / "x.ckpt", content), output)


class Hostile:
    """Unpickled by the letter, it makes a folder called ``harm``."""

    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_would_run_code_is_refused_and_not_run(
    tmp_path, output, monkeypatch, zipped
):
    monkeypatch.chdir(tmp_path)
    content = {"state_dict": transformer("loftr_coarse."), "hyper_parameters": Hostile()}
    path = tmp_path / "hostile.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    message = refused(path, output)
    assert "asks for posix.mkdir to be run, which is never done" in message
    assert not Path("harm").exists()


def test_other_files(tmp_path, output):
    (tmp_path / "notes.txt").write_text("LoFTR")
    assert "cannot be read as a PyTorch" in refused(tmp_path / "notes.txt", output)
    assert "is a folder" in refused(tmp_path, output)
    with pytest.raises(FileNotFoundError, match="expected a PyTorch checkpoint of LoFTR"):
        convert_loftr(tmp_path / "none.ckpt", output)
    with pytest.raises(ValueError, match=r"is a folder: expected the \.npz file to write"):
        convert_loftr(saved(tmp_path / "x.ckpt", transformer()), tmp_path)


def test_an_interrupted_write_leaves_nothing(tmp_path, output, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    source = saved(tmp_path / "x.ckpt", transformer())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        convert_loftr(source, output)
    assert list(output.parent.iterdir()) == []


def test_without_pytorch_it_says_how_to_get_it(tmp_path, output, monkeypatch):
    source = saved(tmp_path / "x.ckpt", transformer())
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'ifvit[convert]'" in refused(source, output)


def test_a_pytorch_that_can_be_made_to_run_code_is_refused(tmp_path, output, monkeypatch):
    source = saved(tmp_path / "x.ckpt", transformer())
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    with pytest.raises(ValueError, match=r"CVE-2025-32434.*torch>=2\.6"):
        convert_loftr(source, output)


@pytest.mark.parametrize("shape", [(10**5, 10**5), (1, 10**10), (50_000, 8)])
def test_a_tensor_is_no_larger_than_its_bytes(tmp_path, shape):
    """One number, said to be a matrix by strides of 0: a small file that would fill the memory."""
    path = tmp_path / "bomb.pt"
    torch.save({"layers.0.q_proj.weight": torch.ones(1).expand(*shape)}, path)
    assert path.stat().st_size < 10_000
    with pytest.raises(ValueError, match=rf"bomb\.pt: the tensor .*{shape[0]}×{shape[1]}"):
        convert_loftr(path, tmp_path / "out.npz")


@pytest.mark.parametrize("shape", [(300, 300), (1, 10**5), (7, 50, 9)])
def test_nor_is_it_in_a_file_with_bytes_to_spare(tmp_path, shape):
    """Of which another tensor shows five."""
    path, others = tmp_path / "bomb.pt", torch.ones(10**6)[:5]
    torch.save({"layers.0.q_proj.weight": torch.ones(1).expand(*shape), "others": others}, path)
    shown = "×".join(map(str, shape))
    with pytest.raises(ValueError, match=rf"bomb\.pt: the tensor .* cannot be read .*{shown}\)"):
        convert_loftr(path, tmp_path / "out.npz")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("count", [9, 300, 3000])
def test_tensors_together_are_no_larger_than_their_file(tmp_path, count, dtype):
    """Many names of the same bytes, of which each would be an array by itself."""
    path, whole = tmp_path / "bomb.pt", torch.ones(50_000, dtype=dtype)
    torch.save({f"layers.{n}.q_proj.weight": whole for n in range(count)}, path)
    with pytest.raises(ValueError, match=r"bomb\.pt: the tensor .* and others are larger than"):
        convert_loftr(path, tmp_path / "out.npz")
