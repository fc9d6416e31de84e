"""Learning rates of a backbone: a share of that of the heads, decreasing to the stem."""
import re

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from cmid_mm.checkpoints.architectures import FAMILIES, FINAL_NORM, STAGE, STAGE_NORM, family_of
from cmid_mm.utils.errors import CMIDError

_IMPLIED = dict(norm_decay_mult=0, bias_decay_mult=0, flat_decay_mult=0)


# in mmengine's own registry, so that configs of every framework find it
@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """The rate of the heads is that of the config, those of the backbone are lower.

    The rate of a layer of the backbone is that of the config times
    ``backbone_lr_mult * layer_decay ** (distance to the heads)``. The layers of
    ``model.backbone`` are its stem and its stages (of a ViT its blocks); everything else of the
    model, neck and heads, is at distance 0. Vectors and biases have no weight decay. A group of
    the optimiser has the name of its layer in ``layer``. mmpretrain's
    ``LearningRateDecayOptimWrapperConstructor`` serves neither the models of mmseg and mmdet,
    which have no ``get_layer_depth``, nor a ResNet-18.

    ``paramwise_cfg`` has ``layer_decay`` (float in (0, 1]), ``backbone_lr_mult`` (positive
    float), which are 1 by default, and mmengine's ``custom_keys`` with ``lr_mult`` and
    ``decay_mult``; factors of 0 for the weight decay of norms and biases are accepted, because
    they are implied.

    Raises:
        CMIDError: Another setting in ``paramwise_cfg``, or the backbone is of no known family.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        options = _IMPLIED | self.paramwise_cfg
        self.layer_decay = options.pop('layer_decay', 1)
        self.backbone_lr_mult = options.pop('backbone_lr_mult', 1)
        self.custom_keys = options.pop('custom_keys', {})
        if options != _IMPLIED or not (0 < self.layer_decay <= 1 and self.backbone_lr_mult > 0):
            raise CMIDError('optim_wrapper.paramwise_cfg of LayerDecayOptimWrapperConstructor '
                            'has layer_decay in (0, 1], backbone_lr_mult above 0 and '
                            f'custom_keys, not {dict(self.paramwise_cfg)}')

    def __call__(self, model: nn.Module) -> OptimWrapper:
        model = getattr(model, 'module', model)
        layers, layer_of = layers_of(getattr(model, 'backbone', None))
        # the longest key that is part of a name applies, as in mmengine
        keys = sorted(sorted(self.custom_keys), key=len, reverse=True)
        groups = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                custom = next((self.custom_keys[key] for key in keys if key in name), {})
                flat = parameter.ndim < 2 or name.endswith('.bias')
                setting = (layer_of.get(name, len(layers)), custom.get('lr_mult', 1),
                           0 if flat else custom.get('decay_mult', 1))
                groups.setdefault(setting, []).append(parameter)
        # the heads first: mmengine logs the rate of the first group
        params = []
        for layer, lr_mult, decay_mult in sorted(groups, reverse=True):
            distance = len(layers) - layer
            share = self.backbone_lr_mult * self.layer_decay**distance if distance else 1
            params.append(dict(
                params=groups[layer, lr_mult, decay_mult], layer=[*layers, 'head'][layer],
                lr=self.base_lr * lr_mult * share))
            # without a weight decay in the config, the default of the optimiser applies
            if decay_mult != 1:
                params[-1]['weight_decay'] = decay_mult * (self.base_wd or 0)
        rates = {group['layer']: f'{group["layer"]} {group["lr"]:.3g}' for group in params}
        print_log(f'learning rates with layer_decay={self.layer_decay} and backbone_lr_mult='
                  f'{self.backbone_lr_mult}: {", ".join(rates.values())}', 'current')
        optimizer = OPTIMIZERS.build(self.optimizer_cfg | dict(params=params))
        wrapper_cfg = dict(type='OptimWrapper') | self.optim_wrapper_cfg
        return OPTIM_WRAPPERS.build(wrapper_cfg, default_args=dict(optimizer=optimizer))


def layers_of(backbone: nn.Module | None) -> tuple[list[str], dict[str, int]]:
    """Names of a backbone's layers, the stem first, and the layer of every ``backbone.*``.

    Raises:
        CMIDError: The backbone is of no family of ``checkpoints/architectures.py``.
    """
    names = [name for name, _ in backbone.named_parameters()] if backbone is not None else []
    kind = family_of(names)
    if kind is None:
        found = 'missing' if backbone is None else type(backbone).__name__
        raise CMIDError('LayerDecayOptimWrapperConstructor knows the layers of '
                        f'{", ".join(FAMILIES)}, but model.backbone is {found}')
    stem, stage = f'{FAMILIES[kind].stem}.', re.compile(rf'({FAMILIES[kind].stage})\.')
    layers = ['stem', *dict.fromkeys(found[1] for found in map(stage.match, names) if found)]

    def layer_of(name: str) -> int:
        if found := stage.match(name):
            return layers.index(found[1])
        # what lies between the stages, and norms of their outputs, count from 0
        if found := STAGE.match(name) or STAGE_NORM.match(name):
            return 0 if name.startswith(stem) else int(found[1]) + 1
        return len(layers) - 1 if FINAL_NORM.match(name) else 0

    return layers, {f'backbone.{name}': layer_of(name) for name in names}
