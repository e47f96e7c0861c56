"""From stored results to tables, pages and sites, which open from disk; methods run only to prove packed runs."""
