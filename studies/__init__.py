"""Study files, tables, results, and the research code that made them."""
