"""Performance measurements: this program against what one would write by hand."""
