"""Tables with the values of every circuit of a space: plan, enumeration, file format, live values."""
