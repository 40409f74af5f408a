import math
from pathlib import Path

import numpy as np
import pytest

from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import UNCERTAIN, Record
from cxr_jax.pipeline.select import findings_of, label_of, select, select_findings


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


CHEXPERT = [
    record("sure", Cardiomegaly=1, Edema=math.nan, No_Finding=math.nan),
    record("maybe", Cardiomegaly=UNCERTAIN, Edema=1, No_Finding=math.nan),
    record("silent", Cardiomegaly=math.nan, Edema=0, No_Finding=math.nan),
    record("clear", Cardiomegaly=math.nan, Edema=math.nan, Support_Devices=math.nan, No_Finding=1),
    record("denied", Cardiomegaly=0, Edema=UNCERTAIN, No_Finding=math.nan),
    record("elsewhere", Mass=1, No_Finding=0),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"sure": 1, "clear": 0, "denied": 0}),
        ({"negatives": "no_finding"}, {"sure": 1, "clear": 0}),
        ({"blanks": "zeros"}, {"sure": 1, "silent": 0, "clear": 0, "denied": 0}),
        ({"keep_uncertain": True}, {"sure": 1, "maybe": UNCERTAIN, "clear": 0, "denied": 0}),
    ],
)
def test_uncertain_and_blank_labels_take_part_only_by_policy(options, expected):
    asked = {"finding": "Cardiomegaly", "negatives": "others", **options}
    records, labels = select(CHEXPERT, **asked)
    assert dict(zip(names(records), labels[:, 0].tolist(), strict=True)) == expected


def test_no_finding_settles_blanks_but_for_support_devices():
    clear = CHEXPERT[3]
    assert label_of(clear, "Edema") == 0
    assert math.isnan(label_of(clear, "Support Devices"))
    assert label_of(clear, "Support Devices", blanks="zeros") == 0


def test_what_a_data_set_does_not_label_is_not_its_negative():
    stranger = record("stranger", Mass=0, No_Finding=1)
    records, _ = select([*RECORDS, stranger], finding="Cardiomegaly", negatives="no_finding")
    assert "stranger" not in names(records)
    assert math.isnan(label_of(stranger, "Cardiomegaly", blanks="zeros"))


def test_several_findings_have_a_column_each():
    records, labels = select_findings(CHEXPERT, findings=("Edema", "Cardiomegaly"))
    assert names(records) == ["sure", "maybe", "silent", "clear", "denied"]
    np.testing.assert_array_equal(
        labels, np.float32([[np.nan, 1], [1, UNCERTAIN], [0, np.nan], [0, 0], [UNCERTAIN, 0]])
    )
    assert labels.dtype == np.float32


def test_all_findings_are_those_told_both_ways():
    assert findings_of(CHEXPERT) == ("Cardiomegaly", "Edema")
    assert findings_of(RECORDS) == ("Cardiomegaly", "Mass")
    with pytest.raises(DataError, match="of 1 images, none has a finding that another is known"):
        findings_of(CHEXPERT[:1])


def test_a_finding_that_nobody_labels_is_refused():
    with pytest.raises(DataError, match="no image is labelled for 'Masss'"):
        select_findings(CHEXPERT, findings=("Masss",))


def test_an_unknown_policy_for_blanks_is_refused():
    with pytest.raises(ValueError, match="blanks must be one of ignore, zeros, got 'ones'"):
        select(RECORDS, finding="Mass", negatives="others", blanks="ones")
