"""Who does the work: the loop of a worker, of one that serves all studies, and workers on a cluster."""
