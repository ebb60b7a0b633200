from pathlib import Path

import pytest

from ifvit.data.prints import Print
from ifvit.evaluation.protocols import all_pairs, fewer_impostors, fvc_pairs, protocol_pairs


def prints(fingers: int, impressions: int) -> list[Print]:
    return [
        Print("set", str(f), str(i), Path(f"{f}_{i}.png"), 500)
        for f in range(1, fingers + 1)
        for i in range(1, impressions + 1)
    ]


def test_counts_of_an_fvc_database() -> None:
    database = prints(10, 8)
    fvc, every = fvc_pairs(database), all_pairs(database)
    assert sum(p.genuine for p in fvc) == 280
    assert sum(not p.genuine for p in fvc) == 45
    assert sum(p.genuine for p in every) == 280
    assert sum(not p.genuine for p in every) == 2880
    assert len({frozenset(p[:2]) for p in every}) == len(every) == 80 * 79 // 2


def test_pairs_are_what_they_say() -> None:
    database = prints(3, 2)
    for pair in all_pairs(database):
        same = database[pair.index0].finger == database[pair.index1].finger
        assert pair.genuine == same
        assert pair.index0 < pair.index1
    impostors = [p for p in fvc_pairs(database) if not p.genuine]
    assert [p[:2] for p in impostors] == [(0, 2), (0, 4), (2, 4)]


def test_fingers_of_two_datasets_are_different_fingers() -> None:
    database = [Print(name, "1", "1", Path("1_1.png"), 500) for name in ("a", "b")]
    assert [p.genuine for p in all_pairs(database)] == [False]


def test_empty_and_doubled_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="no prints"):
        fvc_pairs([])
    with pytest.raises(ValueError, match="listed twice"):
        all_pairs(prints(1, 2) + prints(1, 1))


def test_fewer_impostors_keeps_all_genuine_ones_and_the_same_choice() -> None:
    every = all_pairs(prints(6, 2))
    fewer = fewer_impostors(every, 10)
    assert [p for p in fewer if p.genuine] == [p for p in every if p.genuine]
    assert sum(not p.genuine for p in fewer) == 10
    assert fewer == fewer_impostors(every, 10) and set(fewer) < set(every)
    assert fewer_impostors(every, 1000) == every
    with pytest.raises(ValueError, match="expected at least 1"):
        fewer_impostors(every, 0)


@pytest.mark.parametrize("sign", ["\n", "\r", "\r\n", "\t"])
@pytest.mark.parametrize("protocol", ["fvc", "all"])
def test_what_no_table_can_hold_is_refused_before_the_work(protocol, sign, tmp_path) -> None:
    """Its scores would be written, and then read by nothing."""

    def prints(name: str, finger: str) -> list[Print]:
        return [Print("set", finger, str(n), tmp_path / f"{n}{name}.png", 500) for n in range(3)]

    assert protocol_pairs(prints(" , \"'#", "a b"), protocol, tmp_path)
    for wrong in (prints(f"a{sign}b", "1"), prints("a", f"1{sign}2")):
        with pytest.raises(ValueError, match=r"cannot be listed: rename it") as caught:
            protocol_pairs(wrong, protocol, tmp_path)
        assert "\n" not in str(caught.value)
