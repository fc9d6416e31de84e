"""Parameter groups with and without weight decay."""
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmpretrain.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from cmid_mm.utils.errors import CMIDError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TwoGroupOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Two groups: vectors and biases without decay, everything else with it.

    mmengine's default creates a group for every parameter, which disables the optimiser's
    multi-tensor path, and logs a line for every parameter of a frozen teacher. The
    rule is the published one: weight decay for tensors of at least two dimensions that are
    not biases, including mask tokens, position embeddings and bias tables. Frozen parameters
    are in no group. On a CPU, Adan updates one tensor after the other: its multi-tensor path
    passes through memory a dozen times with copies of the whole model.

    Raises:
        CMIDError: ``paramwise_cfg`` is given, which this rule replaces.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg=None):
        if paramwise_cfg:
            raise CMIDError('TwoGroupOptimWrapperConstructor takes no paramwise_cfg; use '
                             "constructor='DefaultOptimWrapperConstructor' for it")
        super().__init__(optim_wrapper_cfg)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        model = getattr(model, 'module', model)
        groups = split_by_decay(model)
        wrapper_cfg = dict(type='OptimWrapper') | self.optim_wrapper_cfg
        optimizer_cfg = dict(self.optimizer_cfg)
        if optimizer_cfg['type'] == 'Adan' and next(model.parameters()).device.type == 'cpu':
            optimizer_cfg.setdefault('foreach', False)
        optimizer = OPTIMIZERS.build(
            optimizer_cfg | dict(params=[
                dict(params=list(groups[0].values()), weight_decay=0.),
                dict(params=list(groups[1].values()))
            ]))
        print_log(f'{len(groups[1])} tensors with weight decay, {len(groups[0])} without',
                  'current')
        return OPTIM_WRAPPERS.build(wrapper_cfg, default_args=dict(optimizer=optimizer))


def split_by_decay(model: nn.Module) -> tuple:
    """Trainable parameters without and with decay, two dicts of name to parameter."""
    groups = {}, {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decayed = parameter.ndim >= 2 and not name.endswith('.bias')
            groups[decayed][name] = parameter
    return groups
