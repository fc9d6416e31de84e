import pytest
import torch
import torch.nn.functional as F
from golden_files import Golden

from cmid_mm.models.heads import CMIDGlobalHead


def unit(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


def test_golden_queue():
    golden = Golden('queue')
    start = golden.tensor('queue_init_official')
    torch.testing.assert_close(F.normalize(golden.tensor('raw_normal'), dim=1), start)
    head = CMIDGlobalHead(*start.shape)
    head.queue.copy_(start.t())
    steps = zip(
        golden.tensor('keys_view_enqueued_first'), golden.tensor('keys_org_enqueued_second'),
        golden.tensor('queue_after_step'), golden['ptr_after_step'])
    for view, image, queue, pointer in steps:
        head.enqueue(view)
        head.enqueue(image)
        assert torch.equal(head.queue, queue.t())
        assert head.queue_ptr.item() == pointer


def test_every_key_starts_with_unit_length():
    lengths = CMIDGlobalHead(16, 300).queue.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(300))


@pytest.mark.parametrize('size', [1, 3, 7, 10])
def test_queue_wraps_for_any_batch(size):
    head = CMIDGlobalHead(2, size)
    expected = list(head.queue)
    pointer = 0
    for step in range(5):
        keys = torch.full((4, 2), float(step)) + torch.arange(4)[:, None] / 10
        head.enqueue(keys)
        for key in keys:
            expected[pointer] = key
            pointer = (pointer + 1) % size
        assert torch.equal(head.queue, torch.stack(expected))
        assert head.queue_ptr.item() == pointer


@pytest.mark.parametrize('batches', [2, 5])
def test_a_limit_makes_the_loss_that_of_a_shorter_queue(batches):
    """Also where the queue has wrapped."""
    head, short = CMIDGlobalHead(8, 20), CMIDGlobalHead(8, 7)
    head.limit = 7
    for keys in unit(batches, 5, 8):
        head.enqueue(keys)
        short.enqueue(keys)
    newest = {tuple(key) for key in head.newest_keys().tolist()}
    assert newest == {tuple(key) for key in short.queue.tolist()} and len(newest) == 7
    views = list(unit(2, 4, 8)), list(unit(2, 4, 8))
    torch.testing.assert_close(head.loss(*views), short.loss(*views))
    head.limit = 21
    assert torch.equal(head.newest_keys(), head.queue)


def test_both_terms_use_the_queue_before_the_batch():
    """In loss and gradient, although the queue has changed before the backward pass."""
    head = CMIDGlobalHead(8, 20)
    queue = head.queue.clone()
    queries, keys = list(unit(2, 4, 8).requires_grad_()), list(unit(2, 4, 8))
    loss = head.loss(queries, keys)
    expected = 0.5 * (head.loss_module(queries[0], keys[1], queue) +
                      head.loss_module(queries[1], keys[0], queue))
    torch.testing.assert_close(loss, expected)
    # the keys of view 1 first, then those of view 0
    assert torch.equal(head.queue[:8], torch.cat([keys[1], keys[0]]))
    for gradient, wanted in zip(torch.autograd.grad(loss, queries),
                                torch.autograd.grad(expected, queries)):
        torch.testing.assert_close(gradient, wanted)


def test_state_changes_in_training_only():
    head = CMIDGlobalHead(8, 20).eval()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head.loss(list(unit(2, 4, 8)), list(unit(2, 4, 8)))
    for name, value in head.state_dict().items():
        assert torch.equal(value, before[name])
