"""Building blocks of the dashboard's HTML pages.

Links are relative, so that the pages also work behind a proxy that adds a path prefix. Everything that comes from a
database is escaped, since a study may be called `<script>`.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from urllib.parse import quote

from faqnas_optuna.reporting.report import Block, Line
from faqnas_optuna.reporting.text_tables import TextTable

PREFIX_NOTE = (
    "optuna-dashboard does not work behind a proxy that adds a path prefix; serve it at the root of a host name or port."
)


class Html(str):
    """Text that is valid HTML; all other text is escaped before it gets into a page."""


def whole_page(title: str, body: Html, *, path: str, every_s: int) -> str:
    """Return a complete page.

    The script reads the attributes of the element <body>, and shows the paragraphs `trouble` and `prefix` when they apply.
    """
    root = root_of(path)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · faqnas-optuna</title>
<link rel="stylesheet" href="{root}assets/page.css">
</head>
<body data-path="{escape(path)}" data-every="{every_s}">
<main>
{body}
<p id="trouble" role="status"></p>
<p id="prefix" hidden>{PREFIX_NOTE}</p>
</main>
<script defer src="{root}assets/page.js"></script>
</body>
</html>
"""


def nav(study_id: int | None, root: str) -> Html:
    """Return links to the list of studies and to a study in optuna-dashboard."""
    return Html(
        f'<nav><a href="{root}">Studies</a> {optuna_dashboard_link(study_id, root, "all trials in optuna-dashboard")}</nav>'
    )


def study_link(name: str, root: str) -> Html:
    """Return a link to the page of a study."""
    return link(f"{root}study/{quote(name, safe='')}", name)


def optuna_dashboard_link(study_id: int | None, root: str, text: str = "optuna-dashboard") -> Html:
    """Return a link to a study in optuna-dashboard; empty without an id, as for a deleted study or a page about no study."""
    return Html("") if study_id is None else link(f"{root}dashboard/studies/{study_id}", text, to_optuna_dashboard=True)


def table(headings: Sequence[str], rows: Iterable[Iterable[object]], *, numeric: Iterable[int] = ()) -> Html:
    """Return a table.

    Args:
        headings: Headings of the columns.
        rows: Cells of each row.
        numeric: Indices of the columns with numbers, which are aligned to the right.
    """
    number_columns = set(numeric)

    def cells_html(tag: str, cells: Iterable[object]) -> str:
        attributes = (' class="number"' if column in number_columns else "" for column in range(len(headings)))
        return "".join(f"<{tag}{attribute}>{as_html(cell)}</{tag}>" for attribute, cell in zip(attributes, cells, strict=True))

    # The element around the table scrolls sideways where a window is too narrow for it.
    body = "".join(f"<tr>{cells_html('td', row)}</tr>" for row in rows)
    return Html(
        f'<div class="wide"><table><thead><tr>{cells_html("th", headings)}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def blocks_html(blocks: Iterable[Block]) -> Html:
    """Return the blocks of a report, its tables and sentences."""
    parts = []
    for block in blocks:
        if isinstance(block, TextTable):
            headings = (*block.names, *block.numbers, block.last)
            names = len(block.names)
            parts.append(table(headings, block.rows, numeric=range(names, names + len(block.numbers))))
        # Empty lines separate blocks in a terminal.
        elif text := block.text if isinstance(block, Line) else block:
            parts.append(Html(f"<p>{as_html(text)}</p>"))
    return joined(parts)


def terms(texts: Mapping[str, str]) -> Html:
    """Return the content of a description list (<dl>), given the texts by term."""
    return Html("".join(f"<div><dt>{as_html(term)}</dt><dd>{as_html(text)}</dd></div>" for term, text in texts.items()))


def live_section(name: str, content: Html) -> Html:
    """Return a section that the script updates from a newer copy of the page."""
    # The script replaces only changed sections, so that figures keep their zoom and selected text stays selected.
    return Html(f'<section id="{name}" data-live>{content}</section>')


def _figure_data(figure: str, json: str) -> Html:
    """Return the data of a figure, for the script that draws it."""
    # Browsers do not unescape the content of scripts. `</script>` in a name would end the script, so each `<` is written as a
    # JSON escape.
    text = json.replace("<", r"\u003c")
    return Html(f'<script type="application/json" data-figure="{figure}">{text}</script>')


def link(address: str, text: object, *, to_optuna_dashboard: bool = False) -> Html:
    """Return a link.

    Args:
        to_optuna_dashboard: Whether the link leads to optuna-dashboard; the script removes such links behind a proxy that adds
            a path.
    """
    return Html(f'<a href="{escape(address)}"{" class=beyond" if to_optuna_dashboard else ""}>{as_html(text)}</a>')


def figures_html(figures: Mapping[str, str], root: str) -> Html:
    """Return the places and the data of figures, given as Plotly's JSON by name, and the script that draws them."""
    places = [Html(f'<figure><figcaption></figcaption><div id="{figure}" class="figure"></div></figure>') for figure in figures]
    data = [_figure_data(figure, json) for figure, json in figures.items()]
    return joined([*places, Html(f'<script defer src="{root}assets/plotly.js"></script>'), *data])


def joined(parts: Iterable[Html]) -> Html:
    return Html("".join(parts))


def as_html(value: object) -> str:
    return value if isinstance(value, Html) else escape(str(value))


def root_of(path: str) -> str:
    """Return the relative address of the list of studies, given the path of a page.

    >>> root_of("/study/iris")
    '../'
    """
    return "../" * (path.count("/") - 1) or "./"
