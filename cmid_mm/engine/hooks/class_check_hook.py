"""Refuses a model whose heads do not have the classes of its data, before time is spent."""
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

_NAMES_IN_ERROR = 5
# what counts other classes than those of the data: a backbone's own head, and the region
# proposals, which know one class only (object)
_OTHER_CLASSES = ('backbone', 'rpn_head')


@HOOKS.register_module()
class ClassCheckHook(Hook):
    """Compares the classes of all data sets of a run, and every ``num_classes`` of the model.

    A label beyond the head ends in an index error deep inside the loss, on a GPU without
    a place; a validation folder that lacks a class renumbers all classes behind it, and
    no error tells. Data sets that name no classes are not compared.
    """

    def before_run(self, runner) -> None:
        """Before the first image is read.

        Raises:
            ValueError: In one line, the data sets have different classes, or a part of the
                model has another number of them.
        """
        loops = dict(train=runner._train_loop, val=runner._val_loop, test=runner._test_loop)
        # a loop that this run does not use is a dict still
        classes = {use: tuple(loop.dataloader.dataset.metainfo.get('classes') or ())
                   for use, loop in loops.items() if hasattr(loop, 'dataloader')}
        named = {use: names for use, names in classes.items() if names}
        for use, names in named.items():
            _check_same(next(iter(named.items())), (use, names))
        if named:
            _check_model(get_ori_model(runner.model), *next(iter(named.items())))


def _check_model(model, use: str, names: tuple) -> None:
    wrong = {}
    for place, module in model.named_modules():
        count = getattr(module, 'num_classes', None)
        if count not in (None, len(names)) and not place.startswith(_OTHER_CLASSES):
            wrong[f'model.{place}.num_classes'] = count
    if wrong:
        said = ', '.join(f'{place}={count}' for place, count in wrong.items())
        cure = ' '.join(f'{place}={len(names)}' for place in wrong)
        raise ValueError(
            f'the data of {use}_dataloader have {len(names)} classes ({_some(names)}), but the '
            f'config says {said}: set num_classes in the config, or add --cfg-options {cure}')


def _check_same(first: tuple, second: tuple) -> None:
    (use, names), (other_use, others) = first, second
    if names == others:
        return
    only, only_other = sorted(set(names) - set(others)), sorted(set(others) - set(names))
    parts = [f'{len(some)} only in {where} ({_some(some)})'
             for some, where in ((only, use), (only_other, other_use)) if some]
    raise ValueError(
        f'{use} and {other_use} have other classes: {"; ".join(parts) or "in another order"}; '
        'give both the same class folders, or name the classes of both data sets with '
        'metainfo=dict(classes=(...))')


def _some(names) -> str:
    return ', '.join(names[:_NAMES_IN_ERROR]) + (', ...' if len(names) > _NAMES_IN_ERROR
                                                 else '')
