"""``python -m marbench``."""

from marbench.cli import main

if __name__ == "__main__":
    main()
