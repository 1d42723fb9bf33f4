"""Pictures and pages: numbers in, PNG bytes or HTML text out. Nothing here writes a file; the pipeline does."""
