from .cmid_runner import CMIDRunner

__all__ = ['CMIDRunner']
