"""What `cxr predict` leaves: a table, the same as JSON, and an overlay an image."""

import contextlib
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cxr_jax.by_finding import suffixed
from cxr_jax.commands.prediction import Prediction
from cxr_jax.pipeline.once import writing
from cxr_jax.training.saved import SavedRun

FORMATS = ("csv", "json", "png")


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
    stems: set[str] = set()
    suffixes = suffixed(saved.points)
    with writing(out), contextlib.ExitStack() as files:
        table = None
        if "csv" in formats:
            file = files.enter_context(
                (out / "predictions.csv").open("w", newline="", encoding="utf-8")
            )
            each = ("probability", "calibrated_probability", "decision", "gradcam")
            names = [f"{name}{suffix}" for suffix in suffixes.values() for name in each]
            table = csv.DictWriter(file, ["image", *names, "warnings"])
            table.writeheader()

        def add(prediction: Prediction) -> None:
            row: dict[str, Any] = {"image": str(prediction.image.path)}
            stem = _new_name(prediction.image.path.stem, stems)
            for finding, answer in prediction.findings.items():
                suffix = suffixes[finding]
                row |= {
                    f"probability{suffix}": answer.probability,
                    f"calibrated_probability{suffix}": answer.calibrated,
                    f"decision{suffix}": answer.decision,
                    f"gradcam{suffix}": "",
                }
                if answer.heat is not None:
                    name = f"{stem}{suffix.replace('/', '-')}"
                    row[f"gradcam{suffix}"] = _draw(out, name, prediction, finding, saved)
            row["warnings"] = "; ".join(prediction.image.warnings)
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
                    **_points(saved),
                    "predictions": rows,
                    "failed": [{"image": name, "reason": reason} for name, reason in failed],
                }
                (out / "predictions.json").write_text(
                    json.dumps(described, indent=2) + "\n", encoding="utf-8"
                )


def _points(saved: SavedRun) -> dict[str, Any]:
    """Finding, operating point and temperature; of several findings by their names."""
    points = {
        finding: {"operating_point": point.threshold, "temperature": point.temperature}
        for finding, point in saved.points.items()
    }
    if len(points) > 1:
        return {"findings": points}
    ((finding, point),) = points.items()
    return {"finding": finding, **point}


def _new_name(stem: str, taken: set[str]) -> str:
    """The stem, or with a number behind it, as no other image has it."""
    name = stem
    for number in range(2, len(taken) + 3):
        if name.lower() not in taken:
            break
        name = f"{stem}_{number}"
    taken.add(name.lower())
    return name


def _draw(out: Path, name: str, prediction: Prediction, finding: str, saved: SavedRun) -> str:
    """Draw an overlay; its path below `out`."""
    from cxr_jax.reporting.gradcam import overlay

    path = Path("gradcam") / f"{name}.png"
    (out / "gradcam").mkdir(exist_ok=True)
    answer = prediction.findings[finding]
    assert answer.heat is not None
    figure = overlay(
        prediction.image.pixels,
        answer.heat,
        finding=finding,
        title=f"{prediction.image.path.name}\n{finding}: {answer.decision}, "
        f"probability {answer.probability:.3f} "
        f"(operating point {saved.points[finding].threshold:.3f}), "
        f"calibrated {answer.calibrated:.3f}",
    )
    figure.savefig(out / path, dpi=100)
    return path.as_posix()
