import pytest
import torch
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample

from cmid_mm.evaluation.metrics.weighted_knn import weighted_knn
from cmid_mm.utils.errors import CMIDError

PREFIX = dict(WeightedKNN='knn', LinearProbe='linear')


def reference(gallery, labels, query, k, temperature):
    """One query at a time, as the formula is written."""
    similarity = [(torch.cosine_similarity(query, key, dim=0).item(), label)
                  for key, label in zip(gallery, labels.tolist())]
    votes = {}
    for cosine, label in sorted(similarity, reverse=True)[:k]:
        votes[label] = votes.get(label, 0) + torch.tensor(cosine / temperature).exp().item()
    return max(votes, key=votes.get)


@pytest.mark.parametrize('k,temperature', [(1, 0.07), (5, 0.07), (20, 0.5), (500, 0.07)])
def test_against_reference(k, temperature):
    gallery, queries = torch.randn(60, 6), torch.randn(40, 6)
    labels = torch.randint(0, 4, (60, ))
    ranking = weighted_knn(gallery, labels, queries, k, temperature, chunk=7)
    expected = [reference(gallery, labels, query, k, temperature) for query in queries]
    assert ranking[:, 0].tolist() == expected
    # lengths do not matter, only directions
    scaled = weighted_knn(3 * gallery, labels, 0.1 * queries, k, temperature)
    assert torch.equal(scaled[:, 0], ranking[:, 0])


def test_a_low_temperature_is_the_nearest_neighbour():
    gallery, labels = torch.randn(60, 6), torch.randint(0, 4, (60, ))
    queries = gallery + 0.3 * torch.randn(60, 6)
    nearest = weighted_knn(gallery, labels, queries, 1)[:, 0]
    assert torch.equal(weighted_knn(gallery, labels, queries, 20, 1e-5)[:, 0], nearest)
    with pytest.raises(CMIDError, match='temperature must be positive'):
        METRICS.build(dict(type='WeightedKNN', temperature=0))


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
    metric.process(None, samples(centres[labels] + 0.1 * torch.randn(30, 3), labels, 'gallery'))
    # 6 queries, of which 2 lie with the wrong class
    truth = torch.tensor([0, 1, 2, 0, 1, 2])
    looks_like = torch.tensor([0, 1, 2, 0, 2, 1])
    metric.process(None, samples(centres[looks_like], truth, 'query'))
    out = metric.evaluate(36)
    assert out['knn/top1'] == pytest.approx(100 * 4 / 6)
    assert 100 * 4 / 6 <= out['knn/top2'] <= 100


def accuracies(kind, labels, truth, topk=(1, 5), **kwargs):
    """Of a gallery with a cloud for each class and queries like it."""
    draw = torch.Generator().manual_seed(0)
    centres = 4 * torch.eye(6)
    metric = METRICS.build(dict(type=kind, topk=topk, **kwargs))
    for classes, split in ((labels, 'gallery'), (truth, 'query')):
        features = centres[classes] + torch.randn(len(classes), 6, generator=draw)
        metric.process(None, samples(features, classes, split))
    return metric.evaluate(len(labels) + len(truth))


@pytest.mark.parametrize('kind', ['WeightedKNN', 'LinearProbe'])
def test_accuracies_that_are_always_perfect_are_left_out(kind):
    labels = torch.arange(60)
    assert set(accuracies(kind, labels % 3, labels % 3)) == {f'{PREFIX[kind]}/top1'}
    assert set(accuracies(kind, labels % 6, labels % 6)) == {
        f'{PREFIX[kind]}/top1', f'{PREFIX[kind]}/top5'}
    assert set(accuracies(kind, 0 * labels, 0 * labels)) == {f'{PREFIX[kind]}/top1'}
    with pytest.raises(ValueError, match='3 classes is always 100 %'):
        accuracies(kind, labels % 3, labels % 3, topk=(5, ))


def test_classes_without_a_vote_are_no_hits():
    """Otherwise the order of the class names would decide."""
    gallery, labels = torch.eye(6).repeat(2, 1), torch.arange(6).repeat(2)
    ranking = weighted_knn(gallery, labels, gallery[[4]], k=2)
    assert ranking.tolist() == [[4, -1, -1, -1, -1, -1]]
    # the queries look like class 0 and are of any class
    hits = []
    for order in (torch.arange(6), torch.arange(6).flip(0)):
        metric = METRICS.build(dict(type='WeightedKNN', k=2, topk=(5, )))
        metric.process(None, samples(gallery, order[labels], 'gallery'))
        metric.process(None, samples(gallery[:1].expand(6, -1), order, 'query'))
        hits.append(metric.evaluate(18)['knn/top5'])
    assert hits == [pytest.approx(100 / 6)] * 2


def test_a_gallery_alone_is_refused():
    metric = METRICS.build(dict(type='WeightedKNN'))
    metric.process(None, samples(torch.randn(4, 3), torch.arange(4), 'gallery'))
    with pytest.raises(ValueError, match="split='query'"):
        metric.evaluate(4)


@pytest.mark.parametrize('metric, culprit', [
    (dict(type='WeightedKNN', k=0), 'k must'), (dict(type='LinearProbe', l2=()), 'l2 needs'),
    (dict(type='LinearProbe', l2=(0.1, 0)), 'l2 needs'),
    (dict(type='LinearProbe', l2=(-1, )), 'l2 needs')])
def test_refused_arguments(metric, culprit):
    with pytest.raises(ValueError, match=culprit):
        METRICS.build(metric)


def test_the_field_of_the_feature_can_be_named():
    labels = torch.arange(20) % 2
    right, wrong = torch.eye(2)[labels], torch.eye(2)[1 - labels]
    kept = [sample | dict(teacher_feature=feature) for sample, feature in
            zip(samples(right, labels, 'gallery'), right)]
    kept += [sample | dict(teacher_feature=feature) for sample, feature in
             zip(samples(right[:4], labels[:4], 'query'), wrong)]
    for field, accuracy in (('feature', 100), ('teacher_feature', 0)):
        metric = METRICS.build(dict(type='WeightedKNN', k=1, topk=(1, ), feature=field))
        metric.process(None, kept)
        assert metric.evaluate(24) == {'knn/top1': accuracy}
    metric = METRICS.build(dict(type='WeightedKNN', feature='student_feature'))
    with pytest.raises(ValueError, match="no 'student_feature' .*feature_of='both'"):
        metric.process(None, kept)
