import torch
from golden_files import Golden

from cmid_mm.engine.hooks import CMIDTeacherTemperatureHook
from cmid_mm.models.heads import CMIDLocalHead


def test_golden():
    golden = Golden('local_loss')
    settings = golden.json('settings')
    schedule = CMIDTeacherTemperatureHook(
        settings['warmup_branch_temp'], settings['branch_temp'],
        settings['warmup_branch_temp_epochs'])
    head = CMIDLocalHead(
        golden['student'].shape[2],
        center_momentum=settings['center_momentum'],
        loss=dict(type='AssignmentLoss', temperature=settings['online_temp'])).double()
    for i, epoch in enumerate(golden['epoch']):
        head.teacher_temperature.fill_(schedule.temperature(int(epoch)))
        student = golden.tensor('student', torch.float64)[i].requires_grad_()
        loss = head.loss(student, golden.tensor('teacher', torch.float64)[i])
        torch.testing.assert_close(loss, golden.tensor('loss')[i], rtol=1e-6, atol=0)
        torch.testing.assert_close(
            head.center, golden.tensor('center_after')[i], rtol=1e-6, atol=1e-9)
        loss.backward()
        torch.testing.assert_close(
            student.grad, golden.tensor('grad_student', torch.float64)[i], rtol=1e-5, atol=1e-7)


def test_centre_moves_in_training_only():
    head = CMIDLocalHead(6).eval()
    head.loss(torch.randn(2, 6, 3), torch.randn(2, 6, 3))
    assert torch.equal(head.center, torch.zeros(1, 6, 1))


def test_no_gradient_reaches_the_teacher():
    head = CMIDLocalHead(6)
    student = torch.randn(2, 6, 3, requires_grad=True)
    teacher = torch.randn(2, 6, 3, requires_grad=True)
    head.loss(student, teacher).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


def test_temperature_is_no_state():
    assert set(CMIDLocalHead(6).state_dict()) == {'center'}
