"""Workers: the run loop, serving of all studies, extra processes and clusters."""
