"""On what: data sets by name, split and scaled."""
