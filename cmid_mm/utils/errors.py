"""Errors that the user's input causes; the tools print them as one line."""


class CMIDError(ValueError):
    """A foreseeable error in a file, a config or an argument.

    The message names the culprit and the fix, so that nobody needs the traceback.
    """


class MissingFileError(CMIDError, FileNotFoundError):
    """A file that the user named does not exist."""
