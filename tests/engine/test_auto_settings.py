"""A run whose config leaves settings to the number of images."""
import pytest
from tiny_run import tiny_config, tiny_runner, write_images

from cmid_mm.apis.model import build_model
from cmid_mm.checkpoints.files import load_checkpoint_file
from cmid_mm.engine.hooks import CMIDTeacherTemperatureHook
from cmid_mm.engine.runners import CMIDRunner
from cmid_mm.models.selfsup.recipe import auto_keys, choose_recipe

AUTO = {'model.dense_projector.num_prototypes': 'auto', 'model.local_head.num_prototypes': 'auto',
        'model.global_head.queue_size': 'auto', 'default_hooks.pictures.interval': 0}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('auto')
    tiny_runner(folder, 'run', AUTO).train()
    return folder


def test_a_run_has_the_settings_for_its_images(folder):
    recipe = choose_recipe(16, 2, 4)
    checkpoint = load_checkpoint_file(folder / 'run' / 'epoch_2.pth')
    state = checkpoint['state_dict']
    assert len(state['global_head.queue']) == recipe.queue_size == 12
    assert state['local_head.center'].shape[1] == recipe.num_prototypes
    scalars = checkpoint['message_hub']['log_scalars']
    assert scalars['train/teacher_temperature']._log_history[-1] == pytest.approx(recipe.end)
    assert scalars['train/teacher_momentum']._log_history[0] == pytest.approx(
        recipe.base_momentum)
    # what was chosen stands in the log, in the config of the work dir and in the checkpoint
    log = next((folder / 'run').glob('*/*.log')).read_text()
    assert 'auto: 16 images, 2 epochs, batch 4' in log
    assert f'num_prototypes={recipe.num_prototypes}, queue_size=12' in log
    for text in (checkpoint['meta']['cfg'], next((folder / 'run').glob('*.py')).read_text()):
        assert 'queue_size=12' in text and "warmup='auto'" not in text


def test_a_checkpoint_keeps_its_sizes(folder):
    """For a test, for inference and as the start of a run on more images."""
    checkpoint = str(folder / 'run' / 'epoch_1.pth')
    cfg = tiny_config(folder, 'run', AUTO)
    assert len(build_model(cfg, checkpoint, 'cpu').global_head.queue) == 12
    assert 'queue_size' in auto_keys(cfg)

    cfg.merge_from_dict({'load_from': checkpoint, 'work_dir': str(folder / 'test'),
                         'train_dataloader.dataset.data_root': 'missing',
                         'experiment_name': 'auto_test'})
    assert len(CMIDRunner.from_cfg(cfg).model.global_head.queue) == 12

    write_images(folder / 'more', 32)
    cfg = tiny_config(folder, 'run', AUTO | {
        'train_dataloader.dataset.data_root': str(folder / 'more'), 'load_from': checkpoint,
        'train_cfg.max_epochs': 1, 'work_dir': str(folder / 'more_images'),
        'experiment_name': 'auto_more_images'})
    runner = CMIDRunner.from_cfg(cfg)
    runner.train()
    assert len(runner.model.global_head.queue) == 12
    hook, = (hook for hook in runner.hooks if isinstance(hook, CMIDTeacherTemperatureHook))
    assert hook.end == choose_recipe(32, 1, 4).end


def test_given_numbers_win(folder):
    runner = tiny_runner(folder, 'given', AUTO | {'model.global_head.queue_size': 9})
    assert len(runner.model.global_head.queue) == 9
    assert runner.model.local_head.center.shape[1] == choose_recipe(16, 2, 4).num_prototypes
