"""Images, metrics and results of the probes of a pre-training: scenes and, with masks, places."""
import copy
import json
import logging
from pathlib import Path

from mmengine.config import ConfigDict
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.logging import print_log
from torch.utils.data import Dataset

from ..datasets.folder_scan import on_first_process
from ..datasets.parallel_reading import read_in_parallel
from ..utils.errors import CMIDError

PROBES_FILE = 'probes.json'
_ENCODERS = ('student', 'teacher')
_MOST_BROKEN = 0.1
# what data sets of scenes and of masks know about themselves differs
_OWN_META = ['classes', 'palette', 'reduce_zero_label', 'loading']


def probe_parts(cfg, data_root: str | None = None) -> tuple[ConfigDict, list]:
    """Data loader and evaluator of all probes of a config; see ``probes_by_kind``."""
    (loader, evaluator), *places = probes_by_kind(cfg, data_root)
    for of_places, metrics in places:
        datasets = [*loader.dataset.get('datasets', [loader.dataset]), of_places.dataset]
        loader.dataset = ConfigDict(type='ConcatDataset', datasets=datasets,
                                    ignore_keys=_OWN_META)
        evaluator += metrics
    return loader, evaluator


def probes_by_kind(cfg, data_root: str | None = None) -> list[tuple[ConfigDict, list]]:
    """Data loader and evaluator of the probe of scenes and, where one is set, of places.

    Scenes are the images of ``test_dataloader``, with the metrics ``probe_evaluator``. Places
    are the images and masks of ``place_folder``, where its ``data_root`` is set, with the
    metrics ``place_evaluator``.

    Args:
        cfg (Config): Of a pre-training; it is not changed.
        data_root (str, optional): Class folders in place of those of ``test_dataloader``.

    Returns:
        list[tuple[ConfigDict, list]]: Settings of the loader and of the metrics, for each kind.

    Raises:
        CMIDError: The config lacks a part.
    """
    for part in ('test_dataloader', 'probe_evaluator'):
        if cfg.get(part) is None:
            raise CMIDError(f'probes need {part} in the config: take it from '
                            'configs/_base_/datasets/image_folder_224.py, or set '
                            'default_hooks.probe.interval=0')
    loader = copy.deepcopy(cfg.test_dataloader)
    if data_root is not None:
        for part in loader.dataset.get('datasets', [loader.dataset]):
            part.data_root = data_root
    kinds = [(loader, list(copy.deepcopy(cfg.probe_evaluator)))]
    places = cfg.get('place_folder')
    if places is not None and places.get('data_root'):
        kinds.append((ConfigDict(loader, dataset=copy.deepcopy(places)),
                      list(copy.deepcopy(cfg.place_evaluator))))
    return kinds


def leave_out_broken(dataset: BaseDataset | ConcatDataset) -> None:
    """Remove the samples that cannot be read from the data set of a probe, in place.

    An accuracy needs all of its images, and a broken one would end the training at its first
    probe. Every sample is read once; each that is left out is named in the log.

    Raises:
        CMIDError: More than a tenth of the samples cannot be read.
    """
    broken = on_first_process(_find_broken, dataset)
    if not broken:
        return
    if len(broken) > _MOST_BROKEN * len(dataset):
        raise CMIDError(f'{len(broken):,} of {len(dataset):,} images of the probes cannot be '
                        f'read; the first: {next(iter(broken.values()))}')
    for reason in broken.values():
        print_log(f'left out of the probes: {reason}', 'current', logging.WARNING)
    start = 0
    for part in getattr(dataset, 'datasets', [dataset]):
        count = len(part)
        part.get_subset_([index for index in range(count) if start + index not in broken])
        start += count
    if isinstance(dataset, ConcatDataset):
        dataset.cumulative_sizes = dataset.cumsum(dataset.datasets)


def _find_broken(dataset) -> dict[int, str]:
    return {index: reason for index, reason in enumerate(
        read_in_parallel(_Reasons(dataset), show_progress=False)) if reason}


class _Reasons(Dataset):
    """Item i is why sample i cannot be read, or None."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index: int) -> str | None:
        try:
            self.dataset[index]
        except Exception as error:  # also of transforms of other packages
            return str(error) or type(error).__name__
        return None


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
