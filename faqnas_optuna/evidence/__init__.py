"""What may be claimed, and what it rests on."""
