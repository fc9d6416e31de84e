import torch
from golden_files import Golden

from cmid_mm.models.selfsup.cell_matching import location_grid, match_cells, take_cells


def boxes_of(params, pixel):
    """Rows of the file's ``columns`` as (top, left, height, width, flip)."""
    height, width, fraction_y, fraction_x, top, left, flip = params.unbind(1)
    start = (top, left) if pixel else (fraction_y, fraction_x)
    return torch.stack([*start, height, width, flip], 1)


def test_golden_location_grid():
    golden = Golden('location_grid')
    for key, match in golden.matching(r'params_N(\d+)'):
        params = golden.tensor(key, torch.float64)
        size = (int(match[1]), ) * 2
        torch.testing.assert_close(
            location_grid(boxes_of(params, True), size),
            golden.tensor(f'pixel_correct_N{match[1]}', torch.float64), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(
            location_grid(boxes_of(params, False), size).float(),
            golden.tensor(f'official_N{match[1]}'), rtol=1e-6, atol=1e-5)


def test_golden_position_match():
    golden = Golden('position_match')
    features = {side: golden.tensor(f'feat_{side}').transpose(1, 2) for side in 'ab'}
    for key, match in golden.matching(r'idx_a_(\w+)_m(-?\d+)_f(\d+)'):
        kind, count, precision = match[1], int(match[2]), match[3]
        grids = [golden.tensor(f'loc_{side}_{kind}').to(getattr(torch, f'float{precision}'))
                 for side in 'ab']
        source, target = match_cells(*grids, count)
        # what the published code itself answers differently in float32 is its own rounding
        assert torch.equal(source, golden.tensor(key.replace(f'f{precision}', 'f64')))
        assert torch.equal(
            target, golden.tensor(key.replace('idx_a', 'idx_b').replace(
                f'f{precision}', 'f64')))
        for side, index in zip('ab', (source, target)):
            selected = f'feat_{side}_sel_{kind}_m{count}'
            if selected in golden:
                cells = features[side].unflatten(2, golden[f'loc_a_{kind}'].shape[1:3])
                assert torch.equal(
                    take_cells(cells, index), golden.tensor(selected).transpose(1, 2))


def test_matched_cells_show_the_same_place():
    """A picture that holds its own coordinates, cropped and flipped, finds itself."""
    rows, columns = torch.meshgrid(
        torch.arange(100.), torch.arange(80.), indexing='ij')
    picture = torch.stack([rows, columns])
    boxes = torch.tensor([[10., 20., 56., 42., 0.], [24., 6., 70., 56., 1.]])
    grids, looks = [], []
    for top, left, height, width, flip in boxes.int().tolist():
        crop = picture[:, top:top + height, left:left + width]
        crop = crop.flip(2) if flip else crop
        looks.append(torch.nn.functional.adaptive_avg_pool2d(crop, 7).permute(1, 2, 0)[None])
    grids = [location_grid(box[None], (7, 7)) for box in boxes]
    for grid, look in zip(grids, looks):
        # a pixel's centre lies half a pixel behind its index
        torch.testing.assert_close(grid, look + 0.5)
    source, target = match_cells(*grids, 10)
    distance = (looks[0].flatten(1, 2)[0, source[0]] -
                looks[1].flatten(1, 2)[0, target[0]]).norm(dim=1)
    assert distance.max() < 8  # less than the diagonal half of a cell


def test_equal_views_match_cell_by_cell_and_never_more_than_there_are():
    grid = location_grid(torch.tensor([[0., 0., 32., 32., 0.]]), (2, 3))
    source, target = match_cells(grid, grid, 20)
    assert torch.equal(source, torch.arange(6)[None]) and torch.equal(source, target)
