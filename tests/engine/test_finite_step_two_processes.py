"""A loss that is not finite on one process alone is a step that no process takes."""
import torch
import torch.multiprocessing as mp

from cmid_mm.engine.optimizers.finite_step import FiniteOptimWrapper


def process(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    weight = torch.nn.Parameter(torch.ones(3))
    wrapper = FiniteOptimWrapper(torch.optim.SGD([weight], lr=0.1))
    states = []
    for step in range(3):
        # the gradient stays finite: only the number itself goes bad
        bad = torch.tensor(torch.inf if rank == 1 and step == 1 else 0.)
        wrapper.update_params(weight.square().sum() + bad)
        states.append((wrapper.skipped, weight.detach().clone()))
    torch.save(states, f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


def test_both_leave_it_out(tmp_path):
    mp.spawn(process, (str(tmp_path), ), nprocs=2)
    for rank in (0, 1):
        states = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        assert [skipped for skipped, _ in states] == [False, True, False]
        torch.testing.assert_close(
            torch.stack([weight for _, weight in states]),
            torch.tensor([0.8, 0.8, 0.64])[:, None].expand(3, 3))
