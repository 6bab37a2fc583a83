"""Check of a built site: each link leads to a page, a file or an anchor of it, and nothing is loaded from other servers.

`make docs` runs it as a command. The generator checks only links between documents: none to files, and none in docstrings.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Addresses and anchors of an HTML file."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := values.get(name))}
        addresses = [address for name in ("href", "src") if (address := values.get(name))]
        self.links += addresses
        # A browser follows the links of other elements, such as scripts and images, by itself.
        self.loaded += addresses if tag != "a" else []


def faults(site: Path) -> list[str]:
    """Return a line for each link that leads nowhere, and for each resource that another server would have to deliver."""
    site = site.resolve()
    pages = {page.file: page for page in map(Page, sorted(site.rglob("*.html")))}
    lines = []
    for file, page in pages.items():
        name = file.relative_to(site)
        lines += [f"{name} loads {address}" for address in page.loaded if urlsplit(address).netloc]
        for link in page.links:
            parts = urlsplit(link)
            path = unquote(parts.path)
            if parts.scheme or parts.netloc:
                continue
            folder = site if path.startswith("/") else file.parent
            target = (folder / path.lstrip("/")).resolve() if path else file
            has_anchor = not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].anchors
            if not (target.is_file() and has_anchor):
                lines.append(f"{name} links to {link}")
    return lines


if __name__ == "__main__":
    sys.exit("\n".join(faults(Path(sys.argv[1]))) or None)
