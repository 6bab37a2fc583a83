"""The claims of the FAQNAS paper (arXiv 2511.10062), measured on tables."""
