from .auto_precision import AutoPrecisionOptimWrapper, BFloat16OptimWrapper
from .blocked_adan import BlockedAdan
from .two_group_constructor import TwoGroupOptimWrapperConstructor

__all__ = [
    'AutoPrecisionOptimWrapper', 'BFloat16OptimWrapper', 'BlockedAdan',
    'TwoGroupOptimWrapperConstructor'
]
