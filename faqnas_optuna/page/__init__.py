"""Report of studies as one self-contained HTML page."""
