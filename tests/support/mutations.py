"""Files as accidents leave them: bits flipped, cut short, parts lost, doubled or overwritten."""

import numpy as np

_EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\0\x01")


def mutate(rng: np.random.Generator, data: bytes) -> bytes:
    """One to four accidents at random places, half of them near the file's head."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        if not changed:
            break
        reach = len(changed) if rng.random() < 0.5 else min(len(changed), 512)
        at, length = int(rng.integers(reach)), int(rng.integers(1, 64))
        match rng.integers(6):
            case 0:
                changed[at] ^= 1 << int(rng.integers(8))
            case 1:
                changed[at] = int(rng.integers(256))
            case 2:
                del changed[at:]
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length]
            case 5:
                extreme = _EXTREMES[rng.integers(len(_EXTREMES))]
                changed[at : at + len(extreme)] = extreme
    return bytes(changed)
