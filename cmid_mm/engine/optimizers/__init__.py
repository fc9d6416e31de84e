from .auto_precision import AutoPrecisionOptimWrapper, BFloat16OptimWrapper
from .layer_decay_constructor import LayerDecayOptimWrapperConstructor
from .two_group_constructor import TwoGroupOptimWrapperConstructor

__all__ = [
    'AutoPrecisionOptimWrapper', 'BFloat16OptimWrapper', 'LayerDecayOptimWrapperConstructor',
    'TwoGroupOptimWrapperConstructor'
]
