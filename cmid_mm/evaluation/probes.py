"""Images, metrics and results of the probes of a pre-training: scenes and, with masks, places."""
import copy
import json
from pathlib import Path

from mmengine.config import ConfigDict

from ..utils.errors import CMIDError

PROBES_FILE = 'probes.json'
_ENCODERS = ('student', 'teacher')
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


def read_probes(path: str | Path) -> list[dict]:
    """Entries of a ``probes.json``, none where it does not exist; see ``ProbeHook``."""
    path = Path(path)
    return json.loads(path.read_text()) if path.is_file() else []


def probes_of(checkpoint: str, iteration: int | None) -> dict[str, dict]:
    """Results of the probes at a checkpoint, by encoder.

    Args:
        checkpoint (str): File of a training, beside which its ``probes.json`` lies.
        iteration (int, optional): Iteration of the checkpoint.

    Returns:
        dict[str, dict]: For ``'student'`` and ``'teacher'`` metrics in percent, such as
        ``knn/top1``; empty where that iteration was not probed.
    """
    entries = read_probes(Path(checkpoint).parent / PROBES_FILE)
    metrics = next((entry['metrics'] for entry in entries if entry['iter'] == iteration), {})
    return {encoder: {name.removeprefix(f'{encoder}_'): value for name, value in metrics.items()
                      if name.startswith(f'{encoder}_')}
            for encoder in _ENCODERS if metrics}


def better_encoder(probes: dict[str, dict]) -> str:
    """The encoder whose first accuracies and mean IoU are higher on average, else the student.

    Top-5 and pixel accuracies are left out: they repeat the others.
    """
    # both have the same metrics, so the larger sum is the larger mean
    sums = {encoder: sum(value for name, value in metrics.items()
                         if name.endswith(('/top1', '/miou')))
            for encoder, metrics in probes.items()}
    return max(sums, key=sums.get)
