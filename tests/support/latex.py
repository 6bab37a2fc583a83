"""Typesetting of tables."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import TIMEOUT_S

ARTICLE = r"""
\documentclass%s{article}
\usepackage{%s}
\begin{document}
Text.
%s
\end{document}
"""

needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="pdflatex is not installed; on Debian: apt-get install texlive-latex-recommended"
)


def misfits(table: str, directory: Path, options: str) -> list[str]:
    """Typeset a table in an article; return LaTeX's complaints about text that does not fit.

    Args:
        options: Options of the class, such as `[twocolumn]`.
    """
    (packages,) = re.findall(r"^% Needs \\usepackage\{(.*)\}\.$", table, re.MULTILINE)
    (directory / "article.tex").write_text(ARTICLE % (options, packages, table))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
    done = subprocess.run(command, cwd=directory, capture_output=True, timeout=TIMEOUT_S, check=False)
    log = (directory / "article.log").read_text(errors="replace")
    assert done.returncode == 0, log[-2000:]
    return re.findall(r"Overfull .*|.*too narrow.*", log)
