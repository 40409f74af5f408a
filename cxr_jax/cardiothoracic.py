import numpy as np


def cardiothoracic_ratio(heart: np.ndarray, lungs: np.ndarray) -> float:
    def extent(m: np.ndarray) -> float:
        x = np.flatnonzero(m.any(0))
        return x[-1] - x[0] + 1 if x.size else float("nan")

    return float(extent(heart) / extent(lungs))
