"""What is searched: genomes, the circuits they describe, and what these cost."""
