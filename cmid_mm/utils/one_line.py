"""Escaping of untrusted names for a log, a terminal or a list file."""

_ESCAPES = str.maketrans({'\n': r'\n', '\r': r'\r', '\t': r'\t', '\x1b': r'\x1b'})


def one_line(text: str) -> str:
    """Text without line breaks, tabs, terminal codes and undecodable bytes: all escaped."""
    return text.translate(_ESCAPES).encode('utf-8', 'backslashreplace').decode('utf-8')
