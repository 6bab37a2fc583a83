"""Self-contained HTML pages: templates with their style sheet and script, which load nothing from anywhere."""

import base64
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent.parent
"""Folder that the names of templates start from."""


def render(template: str, **values: Any) -> bytes:
    """Return a page; equal values give equal bytes.

    Args:
        template: Name of the template, such as `reporting/figure.html`.
        values: Values for the template, which escapes all text except in variables marked as safe.
    """
    return _environment().get_template(template).render(values).encode()


def download(content: str, kind: str) -> str:
    """Return the address of a link that holds a file.

    Args:
        content: Content of the file.
        kind: Type of the file, such as `text/csv`.
    """
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(content.encode()).decode()}"


@cache
def _environment() -> "Environment":
    # Only pages need the library.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
