"""The report as one page: its figures, its template and style, and how the student was made."""
