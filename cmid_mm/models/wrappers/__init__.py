from .fully_sharded import FullyShardedModel

__all__ = ['FullyShardedModel']
