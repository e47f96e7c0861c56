"""Cases: what a method is given, what it is scored against, and where both come from."""
