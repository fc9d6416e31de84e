from .auto_precision import AutoPrecisionOptimWrapper, BFloat16OptimWrapper
from .two_group_constructor import TwoGroupOptimWrapperConstructor

__all__ = [
    'AutoPrecisionOptimWrapper', 'BFloat16OptimWrapper', 'TwoGroupOptimWrapperConstructor'
]
