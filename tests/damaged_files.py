"""Files with the damage that files come to, by a seed."""

from __future__ import annotations

import random


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Return a file with one of the kinds of damage that files come to."""
    made, at = bytearray(data), draw.randrange(len(data))
    kind = draw.randrange(9)
    if kind == 0:
        made[at] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del made[at:]
    elif kind == 2:
        made[at : at + draw.randrange(1, 64)] = bytes(draw.randrange(1, 64))
    elif kind == 3:
        made[at:at] = draw.randbytes(draw.randrange(1, 64))
    elif kind == 4:
        made[at:at] = made[draw.randrange(len(data)) :][: draw.randrange(1, 200)]
    elif kind == 5:
        for _ in range(draw.randrange(2, 40)):
            made[draw.randrange(len(data))] = draw.randrange(256)
    elif kind == 6:
        words = [b"NaN", b"Infinity", b"-1", b"1e999", b"null", b'"', b"[[[[", b"\xff\xfe", b"\x00"]
        made[at : at + draw.randrange(4)] = draw.choice(words)
    elif kind == 7:
        start = draw.randrange(min(len(data), 64))
        made[start : start + 4] = draw.choice([b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4)])
    else:
        made = bytearray(draw.randbytes(draw.choice([0, 1, 100, len(data)])))
    return bytes(made)
