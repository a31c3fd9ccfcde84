"""``python -m ophamin.cli`` is the ``ophamin`` command."""

from ophamin.cli.main import main

main()
