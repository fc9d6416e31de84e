"""Freezing of the backbone at the start of a downstream training."""
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch.nn.modules.batchnorm import _BatchNorm

from cmid_mm.utils.errors import CMIDError


@HOOKS.register_module()
class FreezeBackboneHook(Hook):
    """Keeps the pre-trained backbone unchanged for the first iterations, while the heads learn.

    The gradients of ``model.backbone`` are removed before each optimiser step, so that neither
    its parameters nor their state in the optimiser change: no momentum collects the gradients
    of random heads, and rates and schedules stay as they are. ``requires_grad`` is
    not changed, because ``DistributedDataParallel`` waits for every gradient. Its batch norms
    use their running statistics meanwhile. Clipping of gradients still counts those of the
    backbone. For any framework: ``custom_hooks=[dict(type='mmpretrain.FreezeBackboneHook',
    iters=500)]``.

    Args:
        iters (int): Number of iterations. Defaults to 0: the backbone is not frozen.

    Raises:
        CMIDError: ``iters`` is negative or not below the length of the training, or the model has
            no backbone.
    """

    def __init__(self, iters: int = 0) -> None:
        if iters < 0:
            raise CMIDError(f'iters of FreezeBackboneHook must not be negative: {iters}')
        self.iters = iters
        self.handles = []

    def before_train(self, runner) -> None:
        if runner.iter >= self.iters:
            return
        model = get_ori_model(runner.model)
        if not hasattr(model, 'backbone'):
            raise CMIDError(f'{type(model).__name__} has no backbone to freeze: set iters=0')
        if self.iters >= runner.max_iters:
            raise CMIDError(
                f'the backbone would be frozen for {self.iters} iterations, and the training has '
                f'{runner.max_iters}: lower default_hooks.freeze_backbone.iters, or set '
                'model.backbone.frozen_stages to freeze it for the whole training')
        self.backbone = model.backbone
        optimizer = runner.optim_wrapper.optimizer
        self.handles = [optimizer.register_step_pre_hook(self._leave_out),
                        optimizer.register_step_post_hook(self._put_back)]
        runner.logger.info(f'the backbone is frozen until iteration {self.iters}')

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if not self.handles:
            return
        if runner.iter < self.iters:
            # the loop sets the training mode at the start of an epoch and after a validation
            for module in self.backbone.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
            return
        for handle in self.handles:
            handle.remove()
        self.handles = []
        self.backbone.train()
        runner.logger.info('the backbone is trained from here on')

    def _leave_out(self, optimizer, args, kwargs) -> None:
        for parameter in self.backbone.parameters():
            parameter.grad = None
        self.groups = optimizer.param_groups
        # mmpretrain's Adan fails in a group without any gradient
        optimizer.param_groups = [group for group in self.groups if any(
            parameter.grad is not None for parameter in group['params'])]

    def _put_back(self, optimizer, args, kwargs) -> None:
        optimizer.param_groups = self.groups
