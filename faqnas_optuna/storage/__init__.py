"""Storage of studies in databases that many workers share."""
