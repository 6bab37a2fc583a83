"""Interactive: what is typed into a notebook or written in a script: searches, studies, a classifier that searches."""
