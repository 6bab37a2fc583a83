"""What is typed: options, commands, and what a person sees."""
