import functools

import pytest
import refusals
from miniatures_breast import RSNA_VIEWS
from miniatures_breast import rsna_breast as miniature

from cxr_jax import datasets
from cxr_jax.datasets import rsna_breast
from cxr_jax.pipeline.decode import decode


@pytest.fixture
def data_set(tmp_path):
    miniature(tmp_path)
    return tmp_path


refusal = functools.partial(refusals.refusal, rsna_breast.read)


def change(folder, old, new):
    table = folder / "train.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))


@pytest.mark.smoke
def test_every_image_has_its_breasts_label(data_set):
    records = rsna_breast.read(data_set)
    assert len(records) == 30
    positive = [record for record in records if record.labels == {"Cancer": 1}]
    assert {(r.patient, r.laterality) for r in positive} == {("10006", "L"), ("10009", "L")}
    assert len(positive) == 4
    assert datasets.read("rsna_breast", data_set) == records


def test_patients_views_and_files_are_read(data_set):
    records = rsna_breast.read(data_set)
    assert records[0].path == data_set / "train_images/10006/462822612.dcm"
    assert decode(records[0].path).shape == (96, 72)
    assert {record.view for record in records} == set(RSNA_VIEWS)
    assert {record.split for record in records} == {None}


def test_an_image_that_is_not_there_keeps_its_record(data_set):
    rsna_breast.read(data_set)[0].path.unlink()
    assert [r.path.is_file() for r in rsna_breast.read(data_set)][:2] == [False, True]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (",1,1,0,", ",2,1,0,", "line 2, column 'cancer': expected 0 or 1, found '2'"),
        (",1,1,0,", ",0,1,0,", "line 3, column 'cancer': expected what line 2 says of the same b"),
        (",L,CC", ",X,CC", "line 2, column 'laterality': expected L or R"),
        (",L,CC", ",L,PA", "line 2, column 'view': expected CC or MLO or"),
        (",462822613,", ",462822612,", "line 3, column 'image_id': expected every image once"),
        (",462822612,", ",../x,", "line 2, column 'image_id': expected a whole number"),
        (",10006,", ",,", "line 2, column 'patient_id': expected a whole number, found 'nothing'"),
    ],
)
def test_a_malformed_line_is_named(data_set, old, new, complaint):
    change(data_set, old, new)
    assert refusal(data_set).startswith(f"{data_set}/train.csv, {complaint}")


def test_what_is_missing_is_named(data_set):
    (data_set / "train_images").rename(data_set / "elsewhere")
    assert "train.csv: names 30 images, and none is there; " in refusal(data_set)
    change(data_set, ",cancer,", ",tumour,")
    assert "no column 'cancer' in the header" in refusal(data_set)
    (data_set / "train.csv").unlink()
    assert "holds no train.csv" in refusal(data_set)
