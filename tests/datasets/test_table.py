import gzip

import pytest
import refusals

from cxr_jax.datasets.table import read_names, read_table
from cxr_jax.errors import DataError


def table(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path, columns=("a",), **options):
    return refusals.refusal(read_table, path, columns=columns, **options)


def test_named_columns_are_read_with_their_lines(tmp_path):
    rows = read_table(table(tmp_path, "b,a,c\n1, 2 ,3\n\n,,\n4,5,6\n"), ("a", "b"), optional=("d",))
    assert [(row.line, row["a"], row["b"], row["d"]) for row in rows] == [
        (2, "2", "1", ""),
        (5, "5", "4", ""),
    ]


def test_all_other_columns_may_be_read_too(tmp_path):
    (row,) = read_table(table(tmp_path, "b,a,,c\n1,2,3,4\n"), ("a",), optional=("d",), others=True)
    assert {name: row[name] for name in row.position} == {"a": "2", "b": "1", "c": "4", "d": ""}


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path):
    rows = read_table(table(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n"), ("a",))
    assert [row["a"] for row in rows] == ["1"]


def test_a_quoted_cell_may_go_over_lines_and_the_next_line_is_counted_right(tmp_path):
    rows = read_table(table(tmp_path, 'a,b\n1,"x\ny"\n2,z\n'), ("a", "b"))
    assert [(row.line, row["b"]) for row in rows] == [(2, "x\ny"), (4, "z")]


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv"])
def test_a_compressed_table_reads_the_same_whatever_its_name(tmp_path, name):
    rows = read_table(table(tmp_path, gzip.compress(b"a,b\n1,2\n"), name), ("a", "b"))
    assert [(row["a"], row["b"], row.line) for row in rows] == [("1", "2", 2)]


def test_a_damaged_compressed_table_is_refused(tmp_path):
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    for damaged in (whole[:-9], whole[:20] + b"\xff" * 20 + whole[40:], whole[:12]):
        assert refusal(table(tmp_path, damaged)).startswith(f"{tmp_path}/t.csv: cannot be read: ")


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_or_tabs_may_stand_between_fields(tmp_path, delimiter, packed):
    text = "\ufeffa;b\r\n1,5;2\r\n".replace(";", delimiter)
    assert read_table(table(tmp_path, packed(text.encode())), ("a",))[0]["a"] == "1,5"


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    path = table(tmp_path, "a,b,b\n1,2,3\n")
    assert "two columns 'b' in the header" in refusal(path, ("a", "b"))
    assert len(read_table(path, ("a",))) == 1


def test_text_in_another_encoding_is_refused_with_the_cure(tmp_path):
    assert refusal(table(tmp_path, "a,ä\n".encode("latin-1"))).endswith("; save it as UTF-8")


def test_a_missing_file_or_column_is_named(tmp_path):
    assert refusal(tmp_path / "x.csv").endswith("x.csv: cannot be read: No such file or directory")
    assert "no column 'a' in the header; found b, c" in refusal(table(tmp_path, "b,c\n1,2\n"))
    assert "the file is empty" in refusal(table(tmp_path, "\n\n"))


def test_a_line_of_another_length_is_named(tmp_path):
    assert "t.csv, line 3: 1 fields where the header has 2" in refusal(
        table(tmp_path, "b,a\n1,2\n3\n")
    )
    assert "t.csv, line 2: 3 fields" in refusal(table(tmp_path, "b,a\n1,2,3\n"))
    assert len(read_table(table(tmp_path, "b,a\n1,2,\n"), ("a",))) == 1


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("0007", 7), ("7.0", 7), ("7.", 7)])
def test_whole_numbers_may_be_written_as_pandas_does(tmp_path, text, value):
    assert read_table(table(tmp_path, f"a,b\n{text},x\n"), ("a",))[0].integer("a") == value


@pytest.mark.parametrize("text", ["", "7.5", "-7", "x", "1e3", "²", "9" * 5000])
def test_what_is_no_whole_number_is_refused(tmp_path, text):
    (row,) = read_table(table(tmp_path, f"a,b\n{text},x\n"), ("a",))
    with pytest.raises(DataError, match="line 2, column 'a': expected a whole number, found "):
        row.integer("a")


def test_names_are_read_with_their_lines(tmp_path):
    assert read_names(table(tmp_path, "x\n\n y \r\n")) == {"x": 1, "y": 3}
