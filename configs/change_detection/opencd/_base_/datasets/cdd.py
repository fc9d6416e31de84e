# CDD as tools/dataset_converters/cdd.py writes it: pairs are JPEGs, masks PNGs.
_base_ = './levir_cd.py'

dataset = dict(
    type='SVCD_Dataset', data_root='data/cdd', img_suffix='.jpg', seg_map_suffix='.png')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
