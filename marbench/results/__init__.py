"""The results of a run as files: rows, parts, pictures."""
