"""`python -m circuitdb`: the command, where the environment's scripts are not on the path."""

from circuitdb.cli import main

if __name__ == "__main__":
    main()
