"""What a user is meant to read."""


class UserError(Exception):
    """One sentence that says what is wrong and what to do; printed without a traceback."""


class BusyError(UserError):
    """Another process is doing this very work."""
