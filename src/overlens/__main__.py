"""`python -m overlens` is the command `overlens`."""

from overlens.cli import main

main()
