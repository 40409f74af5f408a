"""One HTML file with its figures inside: it opens anywhere, without a network."""

import base64
import dataclasses
import html
import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 72rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem 1.2rem .3rem 0; border-bottom: 1px solid #e4e7eb;
         vertical-align: top; }
td { font-variant-numeric: tabular-nums; }
img { max-width: 100%; } figure { margin: 1rem 0; }
figcaption, .note { color: #616e7c; }
pre { background: #f5f7fa; padding: 1rem; overflow-x: auto; font-size: .85rem; }
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what stands under it, in this order.

    Attributes:
      title: the heading.
      text: paragraphs.
      table: rows of equal length; the first is the head.
      figure: drawn into the page and also kept as `figures/<name>.png`.
      caption: below the figure.
      code: shown as it is, such as a config.
    """

    title: str
    text: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()
    figure: tuple[str, Figure] | None = None
    caption: str = ""
    code: str = ""


def write_page(path: Path, *, title: str, subtitle: str, sections: Sequence[Section]) -> None:
    """Write the page, and its figures into `figures/` beside it."""
    figures = path.parent / "figures"
    figures.mkdir(exist_ok=True)
    body = "\n".join(_section(section, figures) for section in sections)
    path.write_text(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>
<h1>{html.escape(title)}</h1>
<p class="note">{html.escape(subtitle)}</p>
{body}
</body></html>
""",
        encoding="utf-8",
    )


def _section(section: Section, figures: Path) -> str:
    parts = [f"<h2>{html.escape(section.title)}</h2>"]
    parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in section.text]
    if section.table:
        parts.append(_table(section.table))
    if section.figure:
        name, figure = section.figure
        png = _png(figure)
        (figures / f"{name}.png").write_bytes(png)
        data = base64.b64encode(png).decode()
        caption = (
            f"<figcaption>{html.escape(section.caption)}</figcaption>" if section.caption else ""
        )
        parts.append(
            f'<figure><img alt="{html.escape(section.title)}" '
            f'src="data:image/png;base64,{data}">{caption}</figure>'
        )
    if section.code:
        parts.append(f"<pre>{html.escape(section.code)}</pre>")
    return "\n".join(parts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += [
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body
    ]
    return "<table>" + "\n".join(lines) + "</table>"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
