"""Registry scope of a config."""
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.registry import MODELS

from cmid_mm.utils.errors import CMIDError


@contextmanager
def scope_of(config: Config) -> Iterator[None]:
    """Context manager in which types are resolved in the registries of the config's framework.

    Raises:
        CMIDError: The config has no ``default_scope``.
    """
    scope = config.get('default_scope')
    if not scope:
        raise CMIDError(f'{config.filename} has no default_scope: set it to the framework '
                        "of the config, default_scope='mmseg' for example")
    # this also imports the framework, as a runner does
    with MODELS.switch_scope_and_registry(scope):
        yield
