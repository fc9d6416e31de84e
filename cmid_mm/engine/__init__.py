"""Runner, loop, hooks, optimisation and schedule of a training.

Private names of mmengine that this package uses, checked against mmengine 0.10.7 and
onedl-mmengine 0.10.12; where one of them changes, the test in brackets fails:

- ``Runner._train_loop``, ``_val_loop``, ``_test_loop`` (hooks/preflight_hook.py and
  probe_hook.py; test_preflight_hook.py, test_watching_hooks.py)
- ``Runner._resume``, ``_load_from``, ``_train_dataloader`` (runners/cmid_runner.py;
  test_resumable_run.py)
- ``Runner._init_model_weights`` (tools/_benchmark; test_benchmark.py)
- ``BaseLoop`` subclasses' ``_iter``, ``_epoch`` (runners/resumable_train_loop.py;
  test_resumable_run.py)
- ``CheckpointHook._save_checkpoint_with_step`` (hooks/safe_checkpoint_hook.py;
  test_resumable_run.py)
- ``OptimWrapper._accumulative_counts`` (hooks, runner; test_finite_step.py)
- ``_ParamScheduler`` and its ``_get_value`` (schedulers/cmid_cosine_lr.py; test_optimizers.py)
- ``BaseDataset._metainfo`` (datasets/image_folder.py; test_image_folder.py)
- ``HistoryBuffer._log_history`` (tools/check_resume.py; test_check_resume.py)
"""
from .hooks import *  # noqa: F401,F403
from .optimizers import *  # noqa: F401,F403
from .runners import *  # noqa: F401,F403
from .schedulers import *  # noqa: F401,F403
