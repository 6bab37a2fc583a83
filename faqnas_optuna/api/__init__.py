"""The Python interface: searches, studies, and a scikit-learn classifier that searches."""
