"""What is told about a period: its figures as one value, as a page, and as rows for other tools."""
