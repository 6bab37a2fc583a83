"""How circuits are found: the study, its sampler, its generations and its trials."""
