"""Running a benchmark: what is still to do (plan), doing it (execute), keeping it (store), and timing it."""
