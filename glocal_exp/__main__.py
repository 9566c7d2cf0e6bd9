"""`python -m glocal_exp`: the same as the command `glocal`."""

from glocal_exp.app.command import main

if __name__ == "__main__":
    main()
