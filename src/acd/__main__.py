"""``python -m acd`` is ``acd``."""

from acd.cli.main import main

main()
