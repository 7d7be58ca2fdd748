"""``python -m tunixhack``: the command line without its script."""

from tunixhack._util import working_folder

working_folder.put_last()  # before anything else is imported

from tunixhack.cli.main import main  # noqa: E402

main()
