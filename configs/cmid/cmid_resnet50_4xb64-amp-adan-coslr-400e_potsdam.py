# CMID on crops of ISPRS Potsdam, 400 epochs; else the recipe of MillionAID. The crops' own
# mean and deviation are measured before training; the published code used MillionAID's.
_base_ = './cmid_resnet50_4xb64-amp-adan-coslr-200e_millionaid.py'

model = dict(data_preprocessor=dict(mean=None, std=None, bands=3))
train_dataloader = dict(dataset=dict(data_root='data/potsdam/2_Ortho_RGB', window=512))
train_cfg = dict(max_epochs=400)
