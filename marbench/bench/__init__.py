"""Running a benchmark: what is still to do (plan), doing it (executors, work), keeping it (keeper), and timing it."""
