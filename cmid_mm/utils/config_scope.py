"""The framework in which a config's names have their meaning."""
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.registry import MODELS


@contextmanager
def scope_of(config: Config) -> Iterator[None]:
    """Context manager: names mean what they mean in the config's framework.

    Raises:
        ValueError: The config does not say which framework it is of.
    """
    scope = config.get('default_scope')
    if not scope:
        raise ValueError(f'{config.filename} has no default_scope: set it to the framework '
                         "of the config, default_scope='mmseg' for example")
    # imports the framework too, which a runner would have done
    with MODELS.switch_scope_and_registry(scope):
        yield
