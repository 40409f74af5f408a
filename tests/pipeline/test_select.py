import math
from pathlib import Path

import numpy as np
import pytest

from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.select import select


def record(image, view="PA", **labels):
    labels = {name.replace("_", " "): float(value) for name, value in labels.items()}
    return Record(image=image, path=Path(image), patient=image, view=view, labels=labels)


RECORDS = [
    record("sick", Cardiomegaly=1, Mass=0, No_Finding=0),
    record("both", Cardiomegaly=1, Mass=1, No_Finding=0, view="AP"),
    record("mass", Cardiomegaly=0, Mass=1, No_Finding=0),
    record("well", Cardiomegaly=0, Mass=0, No_Finding=1),
    record("nan", Cardiomegaly=math.nan, Mass=1, No_Finding=0),
    record("blank", Mass=1),
]


def names(records):
    return [record.image for record in records]


@pytest.mark.smoke
def test_against_no_finding():
    records, labels = select(RECORDS, finding="Cardiomegaly")
    assert names(records) == ["sick", "both", "well"]
    np.testing.assert_array_equal(labels, np.float32([[1], [1], [0]]))
    assert labels.dtype == np.float32


def test_against_all_others():
    records, labels = select(RECORDS, finding="Cardiomegaly", negatives="others")
    assert names(records) == ["sick", "both", "mass", "well"]
    np.testing.assert_array_equal(labels[:, 0], [1, 1, 0, 0])


def test_only_some_views():
    records, _ = select(RECORDS, finding="Cardiomegaly", views=("PA",))
    assert names(records) == ["sick", "well"]
    assert len(select(RECORDS, finding="Cardiomegaly", views=("PA", "AP"))[0]) == 3


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"finding": "Cardio"}, "no image is labelled for 'Cardio'; .* knows Cardiomegaly, Mass"),
        ({"views": ("LL",)}, "no image has the view LL; this data set has PA: 5, AP: 1"),
        ({"views": ("AP",)}, r"of 1 images, 1 have Cardiomegaly and 0 are its negatives \(no_fin"),
    ],
)
def test_what_leaves_no_question_is_refused(question, message):
    with pytest.raises(DataError, match=message):
        select(RECORDS, **{"finding": "Cardiomegaly", **question})


def test_an_unknown_negative_class_is_refused():
    with pytest.raises(ValueError, match="negatives must be one of no_finding, others, got 'all'"):
        select(RECORDS, finding="Mass", negatives="all")
