import pytest
import torch
from golden_files import Golden
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

from cmid_mm.engine.hooks import CMIDTeacherMomentumHook, CMIDTeacherTemperatureHook


class Targets(Dataset):
    """Sample i is the golden target of iteration i of its epoch."""

    def __init__(self, targets, epoch_len):
        self.targets, self.epoch_len, self.epoch = targets, epoch_len, 0

    def __len__(self):
        return self.epoch_len

    def __getitem__(self, i):
        return dict(inputs=self.targets[(self.epoch * self.epoch_len + i) % len(self.targets)])


class Scalar(BaseModel):
    """loss = (w - target)^2 / 2, with a teacher for w."""

    def __init__(self, start):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(float(start), dtype=torch.float64))
        self.teacher = self.w.detach().clone()
        self.local_head = torch.nn.Module()
        self.local_head.register_buffer('teacher_temperature', torch.tensor(0.))
        self.moves = []

    def forward(self, inputs, mode='loss'):
        return dict(loss=0.5 * (self.w - torch.stack(inputs)).square().mean())

    def update_teacher(self, momentum):
        self.teacher = momentum * self.teacher + (1 - momentum) * self.w.detach()
        self.moves.append((momentum, self.teacher.item()))


class Record(Hook):
    """What every iteration started with."""

    def __init__(self):
        self.students, self.rates, self.temperatures = [], [], []

    def before_train_epoch(self, runner):
        runner.train_dataloader.dataset.epoch = runner.epoch

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.students.append(runner.model.w.item())
        self.rates.append(runner.optim_wrapper.param_groups[0]['lr'])
        self.temperatures.append(runner.model.local_head.teacher_temperature.item())


def run(tmp_path, targets, epochs, epoch_len, lr, scheduler=None, momentum=(0.9, 1.0),
        accumulate=1, start=1.0, by_epoch=True):
    torch.manual_seed(0)
    record = Record()
    runner = Runner(
        model=Scalar(start),
        work_dir=str(tmp_path),
        train_dataloader=dict(
            batch_size=1, num_workers=0, dataset=Targets(targets, epoch_len),
            sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs) if by_epoch else
        dict(by_epoch=False, max_iters=epochs * epoch_len),
        optim_wrapper=dict(
            accumulative_counts=accumulate, optimizer=dict(type='SGD', lr=lr)),
        param_scheduler=scheduler,
        custom_hooks=[
            CMIDTeacherMomentumHook(*momentum),
            CMIDTeacherTemperatureHook(0.04, 0.07, 2), record],
        default_scope='mmpretrain',
        experiment_name=tmp_path.name)
    runner.train()
    return runner.model, record


def test_golden_order(tmp_path):
    """The published teacher lags one step behind and misses the last; else it is equal."""
    golden = Golden('ema_hook_order')
    settings = golden.json('settings')
    model, record = run(
        tmp_path, golden.tensor('target', torch.float64), settings['epochs'],
        settings['epoch_len'], settings['base_lr'],
        dict(type='CMIDCosineLR', warmup=settings['warmup_epochs'],
             warmup_factor=settings['warmup_factor'], eta_min=settings['min_lr'],
             by_epoch=True, convert_to_iter_based=True),
        (settings['base_tau'], settings['final_tau']), start=settings['w0'])
    def close(actual, expected):
        return torch.testing.assert_close(torch.tensor(actual, dtype=torch.float64),
                                          torch.as_tensor(expected), rtol=1e-9, atol=1e-12)

    close(record.rates, golden['lr'])
    close(record.students, golden['student_at_forward'])
    close(model.w.item(), golden['student_final'])
    momenta, teachers = zip(*model.moves)
    steps = settings['epochs'] * settings['epoch_len']
    assert len(momenta) == steps
    close(momenta[:-1], golden['tau_at_forward'][1:])
    close(teachers[:-2], golden['teacher_at_forward'][2:])
    close(teachers[-2], golden['teacher_final'])
    # the published ResNet starts one place into its temperature schedule
    epochs = torch.arange(steps) // settings['epoch_len']
    assert (golden.tensor('local_temp_epoch') == epochs + 1).all()


@pytest.mark.parametrize('accumulate,moves', [(1, 7), (2, 4), (3, 3), (7, 1)])
def test_teacher_moves_once_per_optimiser_step(tmp_path, accumulate, moves):
    model, _ = run(tmp_path, torch.randn(7), 1, 7, 0.1, accumulate=accumulate)
    hook = CMIDTeacherMomentumHook(0.9, 1.0)
    assert [momentum for momentum, _ in model.moves] == pytest.approx(
        [hook.momentum(step, moves) for step in range(moves)])


@pytest.mark.parametrize('by_epoch', [True, False])
def test_temperature_is_set_before_the_first_step_of_an_epoch(tmp_path, by_epoch):
    _, record = run(tmp_path, torch.randn(4), 3, 2, 0.1, by_epoch=by_epoch)
    assert record.temperatures == pytest.approx([0.04] * 2 + [0.07] * 4)


def test_golden_momentum_schedule():
    golden = Golden('schedules')
    for key, match in golden.matching(r'tau_base([\d.]+)_final([\d.]+)_n(\d+)'):
        hook = CMIDTeacherMomentumHook(float(match[1]), float(match[2]))
        total = int(match[3])
        values = [hook.momentum(step, total) for step in range(len(golden[key]))]
        assert values == pytest.approx(golden[key].tolist(), rel=1e-9)
    hook, total = CMIDTeacherMomentumHook(), int(golden['tau_long_total'])
    values = [hook.momentum(int(step), total) for step in golden['tau_long_steps']]
    assert values == pytest.approx(golden['tau_long'].tolist(), rel=1e-9)


def test_golden_temperature_schedules():
    golden = Golden('local_loss')
    for key, match in golden.matching(r'schedule_small_(\d+)_of_(\d+)'):
        settings = golden.json('settings')
        hook = CMIDTeacherTemperatureHook(
            settings['warmup_branch_temp'], settings['branch_temp'], int(match[1]))
        check_schedule(hook, golden[key])
    # the real configurations: 0.04 to 0.07 over 50
    for key, _ in golden.matching(r'schedule_(?:swin_cfg_)?(\d+)ep'):
        check_schedule(CMIDTeacherTemperatureHook(), golden[key])
    for key, match in golden.matching(r'schedule_resnet_cfg_(\d+)ep_warmup_epoch_(-?\d+)'):
        published = golden[key]
        check_schedule(CMIDTeacherTemperatureHook(), published)
        first = -int(match[2])
        # training starts `first` places into the schedule
        check_schedule(CMIDTeacherTemperatureHook(first_epoch=first), published[first:])


def check_schedule(hook, expected):
    values = [hook.temperature(epoch) for epoch in range(len(expected))]
    assert values == pytest.approx(expected.tolist(), rel=1e-9)
