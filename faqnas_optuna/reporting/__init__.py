"""Documents, figures, LaTeX and data frames that several features share."""
