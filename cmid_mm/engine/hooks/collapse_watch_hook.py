"""Watches for a run that goes on without learning anything."""
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.engine.hooks.collapse import (
    assignment_entropies,
    feature_spread,
    match_distance,
)

_ALERTS = 'collapse_alerts'


@HOOKS.register_module()
class CollapseWatchHook(Hook):
    """Logs five numbers now and then, and warns when they say that the run collapses.

    - ``feature_spread`` of the teacher's scene vectors, 0..1; near 0 all scenes look alike.
    - ``teacher_entropy`` of a place's assignment to prototypes, 0..1; 1 is no opinion.
    - ``prototype_usage``, entropy of all assignments together, 0..1; 0 is one prototype.
    - ``queue_fresh``, share of the queue that holds keys of this run and not start noise.
    - ``match_distance`` of matched cells, in cells; from 1 on they do not overlap.

    They are of the first process's share of one batch. A warning comes when a number was
    beyond its bound at ``patience`` looks one after the other, and once only.

    Args:
        interval (int): Steps between two looks. Defaults to 50.
        patience (int): Looks. Defaults to 5.
        least_spread (float): Bound of ``feature_spread``. Defaults to 0.05.
        most_entropy (float): Bound of ``teacher_entropy``. Defaults to 0.999.
        least_usage (float): Bound of ``prototype_usage``. Defaults to 0.05.
        most_distance (float): Bound of ``match_distance``. Defaults to 1.5.
    """

    def __init__(self,
                 interval: int = 50,
                 patience: int = 5,
                 least_spread: float = 0.05,
                 most_entropy: float = 0.999,
                 least_usage: float = 0.05,
                 most_distance: float = 1.5):
        self.interval = interval
        self.patience = patience
        self.rules = dict(
            feature_spread=(lambda x: x < least_spread, 'all scenes look alike to the teacher: '
                            'lower the learning rate, or check that the images differ'),
            teacher_entropy=(lambda x: x > most_entropy, 'the teacher has no opinion about any '
                             'place: train longer, or lower its temperature'),
            prototype_usage=(lambda x: x < least_usage, 'all places are the same prototype: '
                             'raise the teacher\'s temperature, or lower center_momentum'),
            match_distance=(lambda x: x > most_distance, 'matched cells do not overlap: the '
                            'views share too little, raise the area of CMIDTwoViews'))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if (runner.iter + 1) % self.interval:
            return
        model = get_ori_model(runner.model)
        values = {name: float(value) for name, value in watched(model).items()}
        keys = 2 * (runner.iter + 1) * runner.train_dataloader.batch_size * get_world_size()
        values['queue_fresh'] = min(1., keys / len(model.global_head.queue))
        for name, value in values.items():
            runner.message_hub.update_scalar(f'train/{name}', value)
        self.warn(runner, values)

    def warn(self, runner, values: dict) -> None:
        """Count looks beyond the bounds; they are kept across a resume."""
        alerts = dict(runner.message_hub.runtime_info.get(_ALERTS, {}))
        for name, (beyond, meaning) in self.rules.items():
            alerts[name] = alerts.get(name, 0) + 1 if beyond(values[name]) else 0
            if alerts[name] == self.patience:
                runner.logger.warning(
                    f'{name} is {values[name]:.4g} for {self.patience} looks of '
                    f'{self.interval} steps: {meaning}')
        runner.message_hub.update_info(_ALERTS, alerts)


def watched(model) -> dict:
    """The numbers of the last batch, scalars on the device."""
    seen = model.seen
    targets = [model.local_head.target(scores.float()) for scores in seen['scores']]
    entropies = [assignment_entropies(target) for target in targets]
    grids = seen['grids']
    distances = [match_distance(*pair, match) for pair, match in
                 zip((grids, grids[::-1]), seen['matches'])]
    return dict(
        feature_spread=sum(feature_spread(keys) for keys in seen['keys']) / 2,
        teacher_entropy=(entropies[0][0] + entropies[1][0]) / 2,
        prototype_usage=(entropies[0][1] + entropies[1][1]) / 2,
        match_distance=(distances[0] + distances[1]) / 2)
