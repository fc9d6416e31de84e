_base_ = './pairs_256.py'

dataset = dict(data_root='data/levir_cd')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
