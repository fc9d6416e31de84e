"""Losses and pictures of a training arrive in TensorBoard, Weights & Biases and MLflow."""
import json
import subprocess
import sys

import pytest
from tiny_run import tiny_config

from cmid_mm.engine.runners import CMIDRunner


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Two epochs of four steps with a backend beside the local one, whose losses it returns."""
    monkeypatch.chdir(tmp_path)

    def train(kind, **settings):
        cfg = tiny_config(tmp_path, options={
            'visualizer.vis_backends': [dict(type='LocalVisBackend'), dict(type=kind, **settings)],
            'default_hooks.pictures.interval': 1})
        cfg.experiment_name = tmp_path.name
        CMIDRunner.from_cfg(cfg).train()
        file, = tmp_path.glob('run/*/vis_data/scalars.json')
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        losses = [row['loss'] for row in rows if 'loss' in row]
        assert len(losses) == 8
        return losses

    return train


def test_tensorboard(train, tmp_path):
    reader = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    losses = train('TensorboardVisBackend')
    file, = tmp_path.glob('run/*/vis_data/events*')
    events = reader.EventAccumulator(str(file), size_guidance={'images': 0})
    events.Reload()
    found = events.Scalars('loss')
    assert [event.step for event in found] == list(range(1, 9))
    assert [event.value for event in found] == pytest.approx(losses)
    assert [event.step for event in events.Images('reconstruction')] == [1, 2]


def test_wandb(train, tmp_path, monkeypatch):
    pytest.importorskip('wandb')
    monkeypatch.setenv('WANDB_MODE', 'offline')
    losses = train('WandbVisBackend')
    file, = tmp_path.glob('run/*/vis_data/wandb/offline-run-*/run-*.wandb')
    # its own tool, because the format of the file is not public
    command = [sys.executable, '-m', 'wandb', 'leet', 'inspect', '--json', str(file)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [record['history']['item'] for record in map(json.loads, printed.splitlines())
            if record['type'] == 'history']
    found = {row['iter']: row['loss'] for row in rows if 'loss' in row}
    assert list(found) == list(range(1, 9)) and list(found.values()) == pytest.approx(losses)
    assert sum('reconstruction.path' in row for row in rows) == 2


def test_mlflow(train, tmp_path):
    mlflow = pytest.importorskip('mlflow')
    address = f'sqlite:///{tmp_path}/mlflow.db'
    losses = train('MLflowVisBackend', tracking_uri=address)
    client = mlflow.MlflowClient(address)
    run, = client.search_runs(['0'])
    found = client.get_metric_history(run.info.run_id, 'loss')
    assert [(metric.step, metric.value) for metric in found] == [
        (step, pytest.approx(loss)) for step, loss in enumerate(losses, 1)]
    artifacts = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    assert {'reconstruction_1.png', 'matched_cells_2.png', 'config.py'} <= artifacts
    assert run.data.params['train_cfg.max_epochs'] == '2'
