"""From stored results to tables, pages and sites. Nothing here runs a method; everything opens from disk."""
