"""Performance measurements: this program compared with hand-written equivalents."""
