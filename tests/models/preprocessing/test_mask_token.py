import re

import pytest
import torch
from golden_files import Golden, recipe
from mmpretrain.registry import MODELS
from small_models import build_cmid

from cmid_mm.models.preprocessing.block_mask import upsample_mask
from cmid_mm.models.preprocessing.mask_token import insert_mask_token

RTOL = 1e-6


def fill(backbone, golden, prefix=''):
    """Weights by rule; the shapes in the file are those of the published model."""
    weights, seed = recipe(), int(golden['seed'])
    state = {}
    for key, shape in golden.json('state_dict_shapes').items():
        if not key.endswith('relative_position_index'):
            state[key] = torch.as_tensor(weights.weight(key, shape, seed))
    own = {key.removeprefix(prefix): value for key, value in state.items()
           if key.startswith(prefix)}
    result = backbone.load_state_dict(own, strict=False)
    assert all(key.endswith('relative_position_index') for key in result.missing_keys)
    assert not result.unexpected_keys
    return state


def close(actual, expected, rtol=RTOL):
    expected = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(
        actual.double(), expected, rtol=rtol, atol=rtol * expected.abs().max().item())


def masked_run(golden, backbone, batch, size):
    model = build_cmid(backbone, size).double()
    state = fill(model.backbone, golden, 'model.')
    model.mask_token.data.copy_(state['mask_token'])
    assert model.mask_token.shape == state['mask_token'].shape
    batch = recipe().pretrain_batch(int(golden['seed']), 0, batch, size)
    mask = torch.as_tensor(batch['mask']).bool()
    return model, torch.as_tensor(batch['mim_img']), upsample_mask(mask, size // mask.shape[-1])


def numbers(text, pattern):
    return [int(number) for number in re.search(pattern, text).groups()]


def test_golden_resnet50():
    golden = Golden('mask_resnet50')
    batch, size = numbers(str(golden['how']), r'pretrain_batch\(seed,0,(\d+),(\d+)\)')
    model, image, mask = masked_run(golden, dict(type='ResNet', depth=50), batch, size)
    stages = []
    modules = [model.backbone.maxpool] + [getattr(model.backbone, f'layer{i}')
                                          for i in range(1, 5)]
    handles = [module.register_forward_hook(lambda m, a, out: stages.append(out.detach()))
               for module in modules]
    with torch.no_grad():
        out = model.eval().student_map(image, mask)
    for handle in handles:
        handle.remove()
    channels = golden['eval_add'].shape[1]
    close(out[:, :channels], golden['eval_add'])
    # the file holds the unmasked run of the stem to see that the token is what differs
    for i, stage in enumerate(stages):
        assert list(stage.shape) == golden[f'stage{i}_shape'].tolist()
        key, match = golden.matching(rf'stage{i}_ch0to(\d+)')[0]
        expected = golden[key]
        close(stage[:len(expected), :int(match[1]) + 1], expected)
    with torch.no_grad():
        close(model.student_map(image)[:, :channels], golden['eval_nomask'])
        model.mask_mode = 'replace'
        close(model.student_map(image, mask)[:, :channels], golden['eval_replace'])
    model.mask_mode = 'add'
    out = model.train().student_map(image, mask)
    close(out[:, :channels], golden['train_add'])
    close(out.mean((0, 2, 3)), golden['train_add_channel_mean'])
    out.backward(torch.as_tensor(recipe().normal('grad_out', out.shape, int(golden['seed']))))
    close(model.mask_token.grad, golden['train_grad_mask_token'])
    expected = golden['train_grad_conv1_first16']
    close(model.backbone.conv1.weight.grad[:len(expected)], expected, 1e-5)
    state = model.backbone.state_dict()
    for key, match in golden.matching(r'train_(running_(?:mean|var)/.+)'):
        close(state[published_buffer(match[1])], golden[key])


def published_buffer(key):
    """``running_mean/layer1.0.bn1`` or ``running_mean/model.layer1.0.bn1`` to a key here."""
    kind, module = key.split('/')
    return f'{module.removeprefix("model.").removesuffix("." + kind)}.{kind}'


def test_golden_swin_base():
    golden = Golden('mask_swin_base')
    batch, size = numbers(str(golden['how']), r'pretrain_batch\(seed,0,(\d+),(\d+)\)')
    backbone = dict(type='SwinTransformer', arch='base', drop_path_rate=0., out_indices=(3, ))
    model, image, mask = masked_run(golden, backbone, batch, size)
    stages = []
    for stage in model.backbone.stages:
        stage.blocks[-1].register_forward_hook(lambda m, a, out: stages.append(out.detach()))
    out = model.student_map(image, mask)
    close(out, golden['out_mask_add'])
    check_stages(golden, 'mask_', stages)
    out.backward(torch.as_tensor(recipe().normal('grad_out', out.shape, int(golden['seed']))))
    close(model.mask_token.grad, golden['grad_mask_token'])
    close(model.backbone.patch_embed.projection.weight.grad, golden['grad_patch_embed_weight'],
          1e-5)
    for key, match in golden.matching(r'grad_relpos_stage(\d+)_block(\d+)'):
        attention = model.backbone.stages[int(match[1])].blocks[int(match[2])].attn.w_msa
        close(attention.relative_position_bias_table.grad, golden[key], 1e-5)
        assert torch.equal(attention.relative_position_index,
                           golden.tensor('relative_position_index_7x7'))
    with torch.no_grad():
        for key, match in golden.matching(r'out_nomask_ch0to(\d+)'):
            close(model.student_map(image)[:, :int(match[1]) + 1], golden[key])
        model.mask_mode = 'replace'
        for key, match in golden.matching(r'out_replace_tok_ch0to(\d+)'):
            close(model.student_map(image, mask)[:, :int(match[1]) + 1], golden[key])


def check_stages(golden, prefix, stages):
    for i, tokens in enumerate(stages):
        assert list(tokens.shape) == golden[f'{prefix}stage{i}_shape'].tolist()
        key, match = golden.matching(
            rf'{prefix}stage{i}_blocks_out_tok0to(\d+)_ch0to(\d+)')[0]
        expected = golden[key]
        close(tokens[:len(expected), :int(match[1]) + 1, :int(match[2]) + 1], expected)
        summary = torch.stack([tokens.mean(), tokens.std(), tokens.abs().max()])
        close(summary, golden[f'{prefix}stage{i}_blocks_out_mean_std_absmax'], 1e-5)


def test_golden_swin_of_other_sizes():
    golden = Golden('swin_small_arch')
    backbone = MODELS.build(
        dict(type='SwinTransformer', arch=golden.json('arch'), drop_path_rate=0.,
             out_indices=(0, 1, 2, 3), out_after_downsample=True)).double()
    backbone.eval()
    fill(backbone, golden)
    stages = []
    for stage in backbone.stages:
        stage.blocks[-1].register_forward_hook(lambda m, a, out: stages.append(out))
    sizes = {match[1] for _, match in golden.matching(r'(\d+x\d+)_out\d+')}
    for name in sorted(sizes):
        size = [int(side) for side in name.split('x')]
        image = recipe().normal(f'img{name}', (1, 3, *size), int(golden['seed']))
        stages.clear()
        with torch.no_grad():
            outputs = backbone(torch.as_tensor(image))
        check_stages(golden, f'{name}_', stages)
        for i, out in enumerate(outputs):
            expected = golden[f'{name}_out{i}']
            close(out[:, :expected.shape[1]], expected, 1e-5)


@pytest.mark.parametrize('mode', ['add', 'replace'])
def test_token_marks_masked_places_only(mode):
    model = build_cmid(dict(type='ResNet', depth=18), mask_mode=mode).eval()
    torch.nn.init.normal_(model.mask_token)
    inputs = []
    model.backbone.layer1.register_forward_hook(lambda m, args, out: inputs.append(args[0]))
    images = torch.randn(2, 3, 64, 64)
    mask = torch.tensor([[[True, False], [False, False]], [[False, False], [False, True]]])
    with torch.no_grad():
        model.student_map(images)
        model.student_map(images, upsample_mask(mask, 32))
    plain, marked = inputs
    masked = upsample_mask(mask, 8)[:, None].expand_as(plain)
    expected = model.mask_token.expand_as(plain) + (plain if mode == 'add' else 0)
    assert torch.equal(marked[~masked], plain[~masked])
    torch.testing.assert_close(marked[masked], expected[masked])


def test_tokens_whose_number_does_not_divide_the_image():
    """9 x 9 tokens of 96 px, three in each of 3 x 3 mask cells."""
    mask = torch.eye(3, dtype=torch.bool)[None]
    marked = insert_mask_token(torch.zeros(1, 81, 2), (9, 9), upsample_mask(mask, 32),
                               torch.ones(1, 1, 2), 'add')
    assert torch.equal(marked[0, :, 0].view(1, 9, 9), upsample_mask(mask, 3).float())


def test_backbone_is_left_without_hook_even_when_it_fails():
    model = build_cmid()
    with pytest.raises(RuntimeError):
        model.student_map(torch.randn(2, 5, 64, 64), torch.zeros(2, 64, 64, dtype=torch.bool))
    assert not any(module._forward_hooks for module in model.backbone.modules())
