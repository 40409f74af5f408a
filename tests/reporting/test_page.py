"""The page: self-contained, and safe with whatever a file name holds."""

from matplotlib.figure import Figure

from cxr_jax.reporting.page import Section, write_page


def test_figures_are_inside_the_page_and_beside_it(tmp_path):
    section = Section(title="A <b>", table=[("x", "y"), ("<1", "2")], figure=("f", Figure()))
    write_page(tmp_path / "page.html", title="T & T", subtitle="<s>", sections=[section])
    page = (tmp_path / "page.html").read_text()
    assert "T &amp; T" in page
    assert "A &lt;b&gt;" in page
    assert "<td>&lt;1</td>" in page
    assert 'src="data:image/png;base64,' in page
    assert (tmp_path / "figures/f.png").read_bytes().startswith(b"\x89PNG")
