"""Scene classes: functions that fill a plan, in a registry."""
from . import rural, transport, urban, water  # noqa: F401  (they register themselves)
from .registry import LAYOUTS, Layout, layout

__all__ = ['LAYOUTS', 'Layout', 'layout']
