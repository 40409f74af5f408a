import pytest
from chest_miniatures import PADCHEST, PADCHEST_HEADER
from chest_miniatures import padchest as miniature
from refusals import refusal, set_cell

from cxr_jax import datasets
from cxr_jax.datasets import padchest
from cxr_jax.errors import DataError
from cxr_jax.pipeline.decode import decode

FOUND = (
    {"No Finding"},
    {"Cardiomegaly", "Effusion", "Fracture", "rib fracture"},
    {"Cardiomegaly", "Mass", "pulmonary mass"},
    None,
    None,
    None,
    {"scoliosis"},
    None,
    None,
    {"Atelectasis", "laminar atelectasis", "chilaiditi's sign"},
)
"""Of each image of the miniature; None where it is unlabelled."""


@pytest.mark.smoke
@pytest.mark.parametrize("layout", [{}, {"flat": True}, {"compressed": True}])
def test_every_line_is_a_record(tmp_path, layout):
    images = miniature(tmp_path, **layout)
    records = padchest.read(tmp_path)
    assert [record.image for record in records] == images
    everything = set().union(*filter(None, FOUND))
    for record, found in zip(records, FOUND, strict=True):
        labels = {name: float(name in found) for name in everything} if found else {}
        assert dict(record.labels) == labels
    assert records[8].patient == records[9].patient != records[7].patient
    assert [record.view for record in records][:5] == [
        "PA",
        "AP",
        "AP_horizontal",
        "LATERAL",
        "COSTAL",
    ]
    assert {record.split for record in records} == {None}
    assert decode(records[0].path).dtype == "uint16"
    assert datasets.read("padchest", tmp_path) == records


@pytest.mark.parametrize(
    ("label", "finding"),
    [
        ("NSG tube", "Support Devices"),
        ("reservoir central venous catheter", "Support Devices"),
        ("artificial mitral heart valve", "Support Devices"),
        ("loculated fissural effusion", "Effusion"),
    ],
)
def test_a_kind_of_a_finding_is_that_finding_too(tmp_path, label, finding):
    miniature(tmp_path)
    set_cell(tmp_path / PADCHEST, 2, "Labels", f"['{label}']")
    first = padchest.read(tmp_path)[0]
    assert {name for name, value in first.labels.items() if value} == {label.lower(), finding}


def test_missing_and_truncated_files_keep_their_records(tmp_path):
    miniature(tmp_path)
    records = padchest.read(tmp_path)
    assert records[2].path == tmp_path / "54" / records[2].image
    with pytest.raises(DataError, match="cannot be read: No such file"):
        decode(records[2].path)
    with pytest.raises(DataError, match="truncated"):
        decode(records[3].path)


def test_the_folders_may_be_in_a_folder_of_images(tmp_path):
    miniature(tmp_path)
    (tmp_path / "images").mkdir()
    for name in ("0", "11", "54"):
        (tmp_path / name).rename(tmp_path / "images" / name)
    record = padchest.read(tmp_path)[1]
    assert record.path == tmp_path / "images/11" / record.image


@pytest.mark.parametrize("cell", ["", "11", "11.0"])
def test_the_folder_of_an_image_may_be_written_in_several_ways(tmp_path, cell):
    miniature(tmp_path)
    set_cell(tmp_path / PADCHEST, 3, "ImageDir", cell)
    record = padchest.read(tmp_path)[1]
    assert record.path == tmp_path / "11" / record.image


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("Labels", "cardiomegaly", "expected a list such as ['cardiomegaly', 'pleural effusion']"),
        ("Labels", "['cardiomegaly'", "expected a list such as"),
        ("Labels", "['a' 'b']", "expected a list such as"),
        ("Labels", "[" * 5000, "expected a list such as"),
        ("Labels", "[__import__('os')]", "expected a list such as"),
        ("ImageDir", "x", "expected a whole number"),
        ("ImageID", "", "inside the data set's folder"),
        ("ImageID", "../a.png", "inside the data set's folder"),
        (
            "ImageID",
            "21684011136696401281920706111201030714000000_04-014-084.png",
            "expected an image that no line before has",
        ),
        ("PatientID", "", "expected a patient"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, column, value, complaint):
    miniature(tmp_path)
    set_cell(tmp_path / PADCHEST, 4, column, value)
    message = refusal(padchest.read, tmp_path)
    assert message.startswith(f"{tmp_path / PADCHEST}, line 4, column {column!r}: ")
    assert complaint in message


def test_what_is_missing_is_named(tmp_path):
    assert f"holds no {PADCHEST}; --data_dir" in refusal(padchest.read, tmp_path)
    (tmp_path / PADCHEST).write_text(PADCHEST_HEADER + "\n")
    assert "no lines below the header" in refusal(padchest.read, tmp_path)
