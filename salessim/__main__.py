"""``python -m salessim`` is the command ``salessim``."""

from salessim.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
