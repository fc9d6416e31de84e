"""The four numbers against a count by hand."""
import pytest
import torch
from mmpretrain.registry import METRICS
from torch.multiprocessing import get_context


def sample(truth, prediction, dtype=torch.int64):
    return dict(gt_sem_seg=dict(data=torch.tensor([truth])),
                pred_sem_seg=dict(data=torch.tensor([prediction]).to(dtype)))


# 2 found, 1 false alarm, 3 missed, 1 of 2 ignored pixels would have been a hit
SAMPLES = [
    sample([[1, 1, 0], [0, 255, 1]], [[1, 0, 1], [0, 1, 1]]),
    sample([[1, 1]], [[0, 0]]),
    sample([[0, 255], [0, 0], [0, 0]], [[0, 0], [0, 0], [0, 0]]),
]


def score(samples, batch=1, **kwargs):
    metric = METRICS.build(dict(type='ChangeMetric', **kwargs))
    for start in range(0, len(samples), batch):
        metric.process(None, samples[start:start + batch])
    return metric.evaluate(len(samples))


def test_all_pixels_of_the_set_count_alike():
    scores = score(SAMPLES)
    assert scores == {
        'change/precision': pytest.approx(100 * 2 / 3),
        'change/recall': pytest.approx(100 * 2 / 5),
        'change/f1': pytest.approx(100 * 4 / 8),
        'change/iou': pytest.approx(100 * 2 / 6)}
    # a mean over batches would follow the order and the batch
    for batch in (2, 3):
        assert score(SAMPLES, batch) == scores
        assert score(SAMPLES[::-1], batch) == scores


def test_predictions_of_a_sigmoid_are_floats():
    floats = [dict(s, pred_sem_seg=dict(data=s['pred_sem_seg']['data'].float()))
              for s in SAMPLES]
    assert score(floats) == score(SAMPLES)


@pytest.mark.parametrize('truth, prediction, wanted', [
    ([[0, 0]], [[0, 0]], (100, 100, 100, 100)),
    ([[0, 0]], [[0, 1]], (0, 0, 0, 0)),
    ([[0, 1]], [[0, 0]], (0, 0, 0, 0)),
    ([[0, 1]], [[0, 1]], (100, 100, 100, 100)),
    ([[1, 0]], [[0, 1]], (0, 0, 0, 0)),
])
def test_empty_cases(truth, prediction, wanted):
    assert tuple(score([sample(truth, prediction)]).values()) == wanted


def test_what_cannot_be_scored():
    with pytest.raises(ValueError, match='no labelled pixel'):
        score([sample([[255]], [[1]])])
    with pytest.raises(ValueError, match='a label has values from 0 to 2'):
        score([sample([[0, 2]], [[0, 1]])])
    with pytest.raises(ValueError, match='a prediction has values from 3 to 3'):
        score([sample([[1]], [[3]])])
    assert score([sample([[1, 7]], [[1, 0]])], ignore_index=7)['change/f1'] == 100


def test_it_is_found_from_other_scopes():
    from mmengine.evaluator import Evaluator
    from mmengine.registry import init_default_scope
    init_default_scope('mmengine')
    metric = Evaluator(dict(type='mmpretrain.ChangeMetric')).metrics[0]
    assert type(metric).__name__ == 'ChangeMetric'


def score_share(rank, port, queue):
    import os
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank),
                      WORLD_SIZE='2')
    torch.distributed.init_process_group('gloo')
    # as DistributedSampler deals them: in turn, and the first again to make it even
    mine = (SAMPLES + SAMPLES[:1])[rank::2]
    metric = METRICS.build(dict(type='ChangeMetric'))
    for one in mine:
        metric.process(None, [one])
    queue.put((rank, metric.evaluate(len(SAMPLES))))
    torch.distributed.destroy_process_group()


def test_two_processes_score_what_one_does():
    import socket
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    context = get_context('fork')
    queue = context.Queue()
    processes = [context.Process(target=score_share, args=(rank, port, queue))
                 for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(queue.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert found[0] == found[1] == score(SAMPLES)
