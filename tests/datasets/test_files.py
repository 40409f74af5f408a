import pytest

from cxr_jax.datasets.files import find_table, inside, require_images, require_table
from cxr_jax.datasets.table import Row
from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import Record


def row(folder, text):
    return Row(path=folder / "t.csv", line=7, cells=(text,), position={"Path": 0})


@pytest.mark.parametrize("text", ["a.png", "train/p1/a.png", "./a.png", "a..b/c.png"])
def test_a_path_of_a_table_is_below_the_folder(tmp_path, text):
    assert inside(tmp_path, text, row(tmp_path, text), "Path") == tmp_path / text


@pytest.mark.parametrize("text", ["", ".", "..", "../a.png", "a/../../b.png", "/etc/passwd", "a\0"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, text):
    with pytest.raises(DataError, match="inside the data set's folder") as error:
        inside(tmp_path, text, row(tmp_path, text), "Path")
    assert str(error.value).startswith(
        f"{tmp_path}/t.csv, line 7, column 'Path': expected the path"
    )


def test_a_table_is_found_compressed_or_not_and_the_first_name_wins(tmp_path):
    assert find_table(tmp_path, "a.csv", "b.csv") is None
    (tmp_path / "b.csv.gz").touch()
    assert require_table(tmp_path, "a.csv", "b.csv", source="web") == tmp_path / "b.csv.gz"
    (tmp_path / "a.csv").touch()
    assert require_table(tmp_path, "a.csv", "b.csv", source="web") == tmp_path / "a.csv"


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no a\.csv or b\.csv; --data_dir names .* \(web\)"):
        require_table(tmp_path, "a.csv", "b.csv", source="web")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        require_table(tmp_path / "nowhere", "a.csv", source="web")


def test_one_image_on_disk_is_enough_and_none_is_an_error(tmp_path):
    table = tmp_path / "t.csv"
    records = [Record(image=name, path=tmp_path / name, patient="1") for name in ("a", "x" * 300)]
    with pytest.raises(
        DataError, match=r"t\.csv: names 2 images, and none is there; .*/a would be"
    ):
        require_images(table, records)
    (tmp_path / "a").touch()
    assert require_images(table, records) == records
    with pytest.raises(DataError, match=r"t\.csv: no lines below the header"):
        require_images(table, [])
