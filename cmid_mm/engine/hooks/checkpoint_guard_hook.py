"""Refuses a checkpoint that does not belong to the model, before time is spent."""
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """mmengine loads what fits and logs the rest; a run must not start from half a model.

    Applies to whatever ``--resume``, ``load_from`` or ``tools/test.py`` loads.
    """

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        model = get_ori_model(runner.model)
        found = checkpoint.get('state_dict', checkpoint)
        complaint = compare_states(model.state_dict(), found)
        if complaint:
            raise ValueError(
                f'the checkpoint does not belong to this {type(model).__name__}: {complaint}. '
                'Use the config it was trained with; to start a backbone from other weights '
                "set model.backbone.init_cfg=dict(type='CMIDPretrained', checkpoint=...).")


def compare_states(wanted: dict, found: dict) -> str:
    """What keeps a state dict from filling a model, in one line; empty where nothing.

    Args:
        wanted (dict[str, Tensor]): State of the model.
        found (dict[str, Tensor]): State of the checkpoint; ``module.`` is ignored.
    """
    found = {key.removeprefix('module.'): value for key, value in found.items()}
    reshaped = [key for key in wanted if key in found and wanted[key].shape != found[key].shape]
    complaints = {
        'missing': [key for key in wanted if key not in found],
        'unexpected': [key for key in found if key not in wanted],
        'of another shape': [
            f'{key} {tuple(found[key].shape)} instead of {tuple(wanted[key].shape)}'
            for key in reshaped
        ],
    }
    return '; '.join(f'{len(keys)} tensors {what} (e.g. {keys[0]})'
                     for what, keys in complaints.items() if keys)
