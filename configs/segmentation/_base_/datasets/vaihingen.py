# ISPRS Vaihingen as tools/dataset_converters/vaihingen.py writes it: 16 images for training,
# 17 for testing; labels as in Potsdam. The bands are near infrared, red and green.
_base_ = './potsdam.py'

dataset = dict(type='ISPRSDataset', data_root='data/vaihingen')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
