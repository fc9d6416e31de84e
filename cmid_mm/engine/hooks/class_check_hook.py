"""Refuses data whose classes are not those of the classifier, before time is spent."""
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

_NAMES_IN_ERROR = 3


@HOOKS.register_module()
class ClassCheckHook(Hook):
    """Compares the classes of the data with the head, and those of train and val.

    A label beyond the head ends in an index error deep inside the loss, on a GPU without
    a place; a validation folder that lacks a class renumbers all classes behind it, and
    no error tells.
    """

    def before_train(self, runner) -> None:
        train = runner.train_dataloader.dataset
        _check_head(runner, train, 'train_dataloader')
        if runner.val_loop is not None:
            val = runner.val_dataloader.dataset
            _check_same(_classes(train), _classes(val))

    def before_test(self, runner) -> None:
        _check_head(runner, runner.test_dataloader.dataset, 'test_dataloader')


def _classes(dataset) -> tuple:
    return tuple(dataset.metainfo.get('classes') or ())


def _check_head(runner, dataset, loader: str) -> None:
    """Raise ValueError where head, batch augmentation and data disagree in number."""
    model = get_ori_model(runner.model)
    found = len(_classes(dataset))
    settings = {
        'model.head.num_classes': getattr(model.head, 'num_classes', None),
        'model.data_preprocessor.num_classes':
            getattr(model.data_preprocessor, 'num_classes', None),
    }
    wrong = {name: number for name, number in settings.items() if number not in (None, found)}
    if found and wrong:
        said = ', '.join(f'{name}={number}' for name, number in wrong.items())
        cure = ' '.join(f'{name}={found}' for name in wrong)
        raise ValueError(
            f'the images of {loader} have {found} classes ({_some(_classes(dataset))}), but '
            f'the config says {said}: set num_classes in the config, or add --cfg-options '
            f'{cure}')


def _check_same(train: tuple, val: tuple) -> None:
    """Raise ValueError where the two have other classes, or another order of them."""
    if train == val:
        return
    only_train, only_val = (sorted(set(a) - set(b)) for a, b in ((train, val), (val, train)))
    parts = [f'{len(only)} only {where} ({_some(only)})'
             for only, where in ((only_train, 'in train'), (only_val, 'in val')) if only]
    raise ValueError(
        f'train and val have other classes: {"; ".join(parts) or "in another order"}; give '
        'both the same class folders, or name the classes of both data sets with '
        'metainfo=dict(classes=(...))')


def _some(names) -> str:
    return ', '.join(names[:_NAMES_IN_ERROR]) + (', ...' if len(names) > _NAMES_IN_ERROR
                                                 else '')
