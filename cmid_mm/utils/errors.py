"""Errors caused by the user's input; the tools print them as one line."""


class CMIDError(ValueError):
    """A foreseeable error in a file, a config or an argument.

    The message has the cause and the fix, so that no traceback is needed.
    """


class MissingFileError(CMIDError, FileNotFoundError):
    """A file that the user named does not exist."""
