"""The report of a run as one page that works offline: records in, HTML out."""
