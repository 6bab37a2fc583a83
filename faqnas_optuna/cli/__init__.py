"""Command line: options, commands and printed results."""
