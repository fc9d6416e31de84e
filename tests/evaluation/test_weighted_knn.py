import pytest
import torch
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample

from cmid_mm.evaluation.metrics.weighted_knn import weighted_knn


def reference(bank, labels, query, k, temperature):
    """One query at a time, in words of the formula."""
    similarity = [(torch.cosine_similarity(query, key, dim=0).item(), label)
                  for key, label in zip(bank, labels.tolist())]
    votes = {}
    for cosine, label in sorted(similarity, reverse=True)[:k]:
        votes[label] = votes.get(label, 0) + torch.tensor(cosine / temperature).exp().item()
    return max(votes, key=votes.get)


@pytest.mark.parametrize('k,temperature', [(1, 0.07), (5, 0.07), (20, 0.5), (500, 0.07)])
def test_against_reference(k, temperature):
    bank, queries = torch.randn(60, 6), torch.randn(40, 6)
    labels = torch.randint(0, 4, (60, ))
    ranking = weighted_knn(bank, labels, queries, k, temperature, chunk=7)
    expected = [reference(bank, labels, query, k, temperature) for query in queries]
    assert ranking[:, 0].tolist() == expected
    # lengths do not matter, only directions
    scaled = weighted_knn(3 * bank, labels, 0.1 * queries, k, temperature)
    assert torch.equal(scaled[:, 0], ranking[:, 0])


def samples(features, labels, split):
    out = []
    for feature, label in zip(features, labels):
        sample = DataSample(metainfo=dict(split=split)).set_gt_label(int(label))
        sample.set_field(feature, 'feature', dtype=torch.Tensor)
        out.append(sample.to_dict())
    return out


def test_metric():
    centres = torch.eye(3)
    labels = torch.arange(30) % 3
    metric = METRICS.build(dict(type='WeightedKNN', k=5, topk=(1, 2)))
    metric.process(None, samples(centres[labels] + 0.1 * torch.randn(30, 3), labels, 'bank'))
    # 6 queries, of which 2 lie with the wrong class
    truth = torch.tensor([0, 1, 2, 0, 1, 2])
    seen = torch.tensor([0, 1, 2, 0, 2, 1])
    metric.process(None, samples(centres[seen], truth, 'query'))
    out = metric.evaluate(36)
    assert out['knn/top1'] == pytest.approx(100 * 4 / 6)
    assert 100 * 4 / 6 <= out['knn/top2'] <= 100


def test_missing_split_is_refused():
    metric = METRICS.build(dict(type='WeightedKNN'))
    metric.process(None, samples(torch.randn(4, 3), torch.arange(4), 'bank'))
    with pytest.raises(ValueError, match="split='query'"):
        metric.evaluate(4)


def test_no_neighbours_are_refused():
    with pytest.raises(ValueError, match='k must'):
        METRICS.build(dict(type='WeightedKNN', k=0))


def test_the_field_of_the_feature_can_be_named():
    labels = torch.arange(20) % 2
    right, wrong = torch.eye(2)[labels], torch.eye(2)[1 - labels]
    kept = [sample | dict(teacher_feature=feature) for sample, feature in
            zip(samples(right, labels, 'bank'), right)]
    kept += [sample | dict(teacher_feature=feature) for sample, feature in
             zip(samples(right[:4], labels[:4], 'query'), wrong)]
    for field, accuracy in (('feature', 100), ('teacher_feature', 0)):
        metric = METRICS.build(dict(type='WeightedKNN', k=1, topk=(1, ), feature=field))
        metric.process(None, kept)
        assert metric.evaluate(24) == {'knn/top1': accuracy}
    metric = METRICS.build(dict(type='WeightedKNN', feature='student_feature'))
    with pytest.raises(ValueError, match="no 'student_feature' .*feature_of='both'"):
        metric.process(None, kept)
