import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom

from cxr_jax.pipeline.burned_in import warn_of_burned_in

PAGE = Path("report.html")


def test_declared_annotation_is_warned_of_once_a_page(tmp_path):
    paths = [tmp_path / name for name in ("a.dcm", "b.dcm", "c.dcm")]
    for path, declared in zip(paths, ("YES", "NO", "YES"), strict=True):
        write_dicom(path, np.zeros((40, 40), np.uint8), BurnedInAnnotation=declared)
    with pytest.warns(UserWarning, match=r"report.html: shows 2 images .*a\.dcm the first"):
        warn_of_burned_in(paths, page=PAGE)


def test_other_images_are_no_reason_to_warn(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 40), np.uint8))
    (tmp_path / "b.dcm").write_bytes(b"nothing")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_burned_in(
            [tmp_path / "a.png", tmp_path / "b.dcm", tmp_path / "missing.dcm"], page=PAGE
        )
