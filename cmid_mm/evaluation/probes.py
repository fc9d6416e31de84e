"""Images and metrics of the probes of a pre-training: scenes, and places where there are masks."""
import copy

from mmengine.config import ConfigDict

from ..utils.errors import CMIDError

# what data sets of scenes and of masks know about themselves differs
_OWN_META = ['classes', 'palette', 'reduce_zero_label', 'loading']


def probe_parts(cfg, data_root: str | None = None) -> tuple[ConfigDict, list]:
    """Data loader and evaluator of the probes of a config.

    Scenes are the images of ``test_dataloader``, with the metrics ``probe_evaluator``. Where
    ``place_folder.data_root`` is set, its images and masks are added, with the metrics
    ``place_evaluator``.

    Args:
        cfg (Config): Of a pre-training; it is not changed.
        data_root (str, optional): Class folders in place of those of ``test_dataloader``.

    Returns:
        tuple[ConfigDict, list]: Settings of the loader and of the metrics.

    Raises:
        CMIDError: The config lacks a part.
    """
    for part in ('test_dataloader', 'probe_evaluator'):
        if cfg.get(part) is None:
            raise CMIDError(f'probes need {part} in the config: take it from '
                            'configs/_base_/datasets/image_folder_224.py, or set '
                            'default_hooks.probe.interval=0')
    loader = copy.deepcopy(cfg.test_dataloader)
    evaluator = list(copy.deepcopy(cfg.probe_evaluator))
    scenes = loader.dataset.get('datasets', [loader.dataset])
    if data_root is not None:
        for part in scenes:
            part.data_root = data_root
    places = cfg.get('place_folder')
    if places is not None and places.get('data_root'):
        loader.dataset = ConfigDict(type='ConcatDataset', datasets=[*scenes, places],
                                    ignore_keys=_OWN_META)
        evaluator += copy.deepcopy(cfg.place_evaluator)
    return loader, evaluator
