"""Whether a method keeps to the contract: what ``marbench check`` looks at, and what it says."""
