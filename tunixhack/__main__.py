"""``python -m tunixhack``: the command line without its script."""

from tunixhack.cli import main

main()
