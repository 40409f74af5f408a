"""What `cxr predict` leaves: a table, the same as JSON, and an overlay an image."""

import contextlib
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cxr_jax.commands.prediction import Prediction
from cxr_jax.pipeline.once import writing
from cxr_jax.training.saved import SavedRun

FORMATS = ("csv", "json", "png")
COLUMNS = (
    "image",
    "probability",
    "calibrated_probability",
    "decision",
    "gradcam",
    "warnings",
)


@contextlib.contextmanager
def prediction_files(
    out: Path, *, formats: Sequence[str], saved: SavedRun, failed: Sequence[tuple[str, str]]
) -> Iterator[Callable[[Prediction], None]]:
    """Write predictions as they come; whoever stops halfway keeps what was done.

    Args:
      out: the folder; it is there.
      formats: some of FORMATS.
      failed: (image, reason) of what could not be predicted; may grow meanwhile.

    Yields:
      What adds a prediction: a row, and an overlay if it has Grad-CAM.

    Raises:
      WorkspaceError: the folder cannot be written, or the disk is full.
    """
    rows: list[dict[str, Any]] = []
    names: set[str] = set()
    with writing(out), contextlib.ExitStack() as files:
        table = None
        if "csv" in formats:
            file = files.enter_context(
                (out / "predictions.csv").open("w", newline="", encoding="utf-8")
            )
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()

        def add(prediction: Prediction) -> None:
            overlay = "" if prediction.heat is None else _draw(out, names, prediction, saved)
            values = (
                str(prediction.image.path),
                prediction.probability,
                prediction.calibrated,
                prediction.decision,
                overlay,
                "; ".join(prediction.image.warnings),
            )
            row = dict(zip(COLUMNS, values, strict=True))
            rows.append(row)
            if table is not None:
                table.writerow(row)
                file.flush()

        try:
            yield add
        finally:
            if "json" in formats:
                described = {
                    "run": str(saved.folder),
                    "finding": saved.config.finding,
                    "operating_point": saved.threshold,
                    "temperature": saved.temperature,
                    "predictions": rows,
                    "failed": [{"image": name, "reason": reason} for name, reason in failed],
                }
                (out / "predictions.json").write_text(
                    json.dumps(described, indent=2) + "\n", encoding="utf-8"
                )


def _draw(out: Path, names: set[str], prediction: Prediction, saved: SavedRun) -> str:
    """Draw the overlay; its path below `out`, which no other image has."""
    from cxr_jax.reporting.gradcam import overlay

    stem = prediction.image.path.stem
    name = stem
    for number in range(2, len(names) + 3):
        if name.lower() not in names:
            break
        name = f"{stem}_{number}"
    names.add(name.lower())
    path = Path("gradcam") / f"{name}.png"
    (out / "gradcam").mkdir(exist_ok=True)
    assert prediction.heat is not None
    figure = overlay(
        prediction.image.pixels,
        prediction.heat,
        finding=saved.config.finding,
        title=f"{prediction.image.path.name}\n{saved.config.finding}: {prediction.decision}, "
        f"probability {prediction.probability:.3f} (operating point {saved.threshold:.3f}), "
        f"calibrated {prediction.calibrated:.3f}",
    )
    figure.savefig(out / path, dpi=100)
    return path.as_posix()
