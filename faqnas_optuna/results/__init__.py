"""What is shown: documents, figures and the dashboard."""
