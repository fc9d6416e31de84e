"""A student and a teacher of which each process holds a piece."""
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.dist import broadcast, is_main_process
from mmengine.registry import MODEL_WRAPPERS
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map

_CONTAINERS = nn.ModuleList, nn.ModuleDict


# in mmengine's own registry, where its Runner looks wrappers up
@MODEL_WRAPPERS.register_module()
class FullyShardedModel(nn.Module):
    """Parameters, gradients and state of the optimiser in as many pieces as processes.

    torch's ``fully_shard`` gathers a block's parameters for its forward and for its
    backward pass and gives them away again. Each parameter of the teacher is cut where the
    student's is, so that moving the teacher needs no communication. Buffers are whole.
    mmengine's own wrapper for this, ``MMFullyShardedDataParallel``, refuses a CPU, lays
    parameters out flat, and goes with a runner that knows nothing of ``CMIDRunner``'s work.

    Chosen by ``model_wrapper_cfg = dict(_delete_=True, type='FullyShardedModel')``, under
    ``CMIDRunner``, which puts checkpoints together: they are those of any other run.

    Args:
        module (nn.Module): On its device. Its weights are initialised here, because whole
            tensors have to be drawn.

    Raises:
        ValueError: Parameters lie in channels-last order, which torch does not cut.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        if not all(parameter.is_contiguous() for parameter in module.parameters()):
            raise ValueError('FullyShardedModel cannot cut parameters in channels-last order: '
                             'set model.channels_last=False')
        module.init_weights()
        for tensor in module.state_dict().values():
            broadcast(tensor)
        units = _units(module)
        # those within others first
        for part in reversed(list(module.modules())):
            if part in units:
                fully_shard(part)
        module.register_load_state_dict_pre_hook(_take_pieces_of_model)
        self.module = module

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def train_step(self, data, optim_wrapper):
        return self.module.train_step(data, optim_wrapper)

    def val_step(self, data):
        return self.module.val_step(data)

    def test_step(self, data):
        return self.module.test_step(data)

    @contextmanager
    def whole_states(self, optimizer) -> Iterator[None]:
        """Within, state dicts on the main process hold whole tensors, on the CPU.

        All processes must enter; on the others there is nothing in place of the tensors.

        Args:
            optimizer (torch.optim.Optimizer): Of this model.
        """
        model_state = tree_map(_whole, self.module.state_dict())
        optimizer_state = tree_map(_whole, optimizer.state_dict())

        def fill(module, state, prefix, metadata):
            state.update({prefix + name: value for name, value in model_state.items()})

        hooks = [self.module.register_state_dict_post_hook(fill),
                 optimizer.register_state_dict_post_hook(lambda *_: optimizer_state)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @staticmethod
    def take_whole_states(optimizer) -> None:
        """Let an optimiser load the state of a whole model, of which it takes its pieces."""
        optimizer.register_load_state_dict_pre_hook(_take_pieces_of_optimizer)


def _units(model: nn.Module) -> set:
    """Modules whose parameters are gathered together.

    The model with what no other has, its parts, and the blocks of every list in them. A
    stage with a list of its own is none: mmpretrain's Swin calls what lies in it by itself.
    """
    units = {model}
    for parent in model.modules():
        if parent is model or isinstance(parent, nn.ModuleDict):
            units.update(parent.children())
        elif isinstance(parent, nn.ModuleList):
            units.update(block for block in parent if not any(
                isinstance(part, _CONTAINERS) for part in block.modules()))
    return {unit for unit in units if not isinstance(unit, _CONTAINERS)
            and next(unit.parameters(), None) is not None}


def _whole(value):
    """A tensor of all pieces on the main process, None on the others; all must call."""
    if isinstance(value, DTensor):
        value = value.full_tensor()
        return value.cpu() if is_main_process() else None
    return value


def _piece(value, like):
    """The piece that belongs to ``like``, of a whole tensor of the same shape."""
    if isinstance(like, DTensor) and not isinstance(value, DTensor) and like.shape == value.shape:
        return distribute_tensor(value, like.device_mesh, like.placements)
    return value


def _take_pieces_of_model(module, state: dict, prefix: str, *_) -> None:
    own = module.state_dict(prefix=prefix)
    state.update({name: _piece(state[name], own[name]) for name in own if name in state})


def _take_pieces_of_optimizer(optimizer, state: dict) -> dict:
    own = [parameter for group in optimizer.param_groups for parameter in group['params']]
    ids = [number for group in state['param_groups'] for number in group['params']]
    pieces = {
        number: {name: _piece(value, parameter) if hasattr(value, 'shape') else value
                 for name, value in state['state'][number].items()}
        for number, parameter in zip(ids, own) if number in state['state']}
    return {**state, 'state': pieces}
