"""Search space: genomes, the circuits they describe, and what these cost."""
