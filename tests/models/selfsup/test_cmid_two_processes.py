"""Two gloo processes of batch B compute what one process of batch 2B does."""
import pytest
import torch
from mmengine.dist import all_reduce
from mmengine.model import MMDistributedDataParallel
from processes import run_processes
from small_models import build_cmid, loader_batch, losses_of

from cmid_mm.utils.distributed import gather_interleaved, global_mean

STEPS = 3


def train(model, rank, world):
    """A few steps of plain descent; the losses of the global batch, step by step."""
    inner = getattr(model, 'module', model)
    optimizer = torch.optim.SGD(inner.parameters(), lr=0.1, momentum=0.9)
    history = []
    for step in range(STEPS):
        batch = {key: value[rank::world] for key, value in loader_batch(4, epoch=step).items()}
        losses = model(**inner.data_preprocessor(batch, True), mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        inner.update_teacher(0.9)
        values = torch.stack([loss.detach() for loss in losses.values()])
        if world > 1:
            all_reduce(values, op='mean')
        history.append(values)
    return torch.stack(history), inner.state_dict()


def process(rank, world, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=world)
    model = MMDistributedDataParallel(build_cmid(), broadcast_buffers=False)
    history, state = train(model, rank, world)
    x = (torch.arange(3.) + 3 * rank).requires_grad_()
    gathered, mean = gather_interleaved(torch.stack([x, x + 10])), global_mean(x)
    (mean**2).sum().backward()
    torch.save((history, state, gathered, mean.detach(), x.grad), f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp('processes')
    run_processes(process, 2, str(folder))
    return [torch.load(folder / f'{rank}.pth', weights_only=True) for rank in range(2)]


def test_same_losses_weights_teacher_queue_and_centre(results):
    history, state = train(build_cmid(), 0, 1)
    for other_history, other, *_ in results:
        torch.testing.assert_close(other_history, history, rtol=1e-4, atol=1e-5)
        for key, value in state.items():
            torch.testing.assert_close(other[key], value, rtol=1e-4, atol=1e-5, msg=key)
    assert history[:, 0].std() > 0


def test_processes_hold_the_same_state(results):
    first, second = (state for _, state, *_ in results)
    for key in first:
        assert torch.equal(first[key], second[key]), key


def test_keys_are_gathered_in_the_order_of_the_global_batch(results):
    for _, _, gathered, *_ in results:
        assert gathered.tolist() == [[0, 1, 2], [3, 4, 5], [10, 11, 12], [13, 14, 15]]


def test_global_mean_has_the_gradient_of_one_process(results):
    """With m the mean of both, d(m^2)/dx = 2m: DDP's average over processes halves it."""
    for *_, mean, gradient in results:
        assert mean.tolist() == [1.5, 2.5, 3.5]
        assert torch.equal(gradient, 2 * mean)


def test_one_process_is_left_alone():
    x = torch.randn(3, requires_grad=True)
    assert global_mean(x) is x
    assert torch.equal(gather_interleaved(x), x) and not gather_interleaved(x).requires_grad
    assert all(loss.isfinite() for loss in losses_of(build_cmid(), loader_batch()).values())
