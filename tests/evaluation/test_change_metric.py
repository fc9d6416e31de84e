"""The four numbers against a count by hand."""
import pytest
import torch
from mmpretrain.registry import METRICS
from torch.multiprocessing import start_processes


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


def score_share(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    # as DistributedSampler deals them: in turn, and the first again to make it even
    metric = METRICS.build(dict(type='ChangeMetric'))
    for one in (SAMPLES + SAMPLES[:1])[rank::2]:
        metric.process(None, [one])
    torch.save(metric.evaluate(len(SAMPLES)), f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


def test_two_processes_score_what_one_does(tmp_path):
    start_processes(score_share, (str(tmp_path), ), nprocs=2, start_method='fork')
    for rank in range(2):
        assert torch.load(tmp_path / f'{rank}.pth', weights_only=True) == score(SAMPLES)
