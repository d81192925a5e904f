"""Pictures and pages: slices with outlines and clicks, and self-contained HTML."""
