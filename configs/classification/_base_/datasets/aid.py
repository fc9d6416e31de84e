# AID (Xia et al., arXiv 1608.05167), as tools/dataset_converters/aid.py
# prepares it; the number is the percentage of each class used for training.
num_classes = 30
folder = dict(
    type='ImageFolder',
    data_root='data/aid',
    data_prefix='images',
    with_label=True,
    # each list is either the gallery or the queries of a k-NN test
    query_every=None,
    metainfo=dict(classes=(
        'Airport', 'BareLand', 'BaseballField', 'Beach', 'Bridge', 'Center', 'Church',
        'Commercial', 'DenseResidential', 'Desert', 'Farmland', 'Forest', 'Industrial',
        'Meadow', 'MediumResidential', 'Mountain', 'Park', 'Parking', 'Playground', 'Pond',
        'Port', 'RailwayStation', 'Resort', 'River', 'School', 'SparseResidential',
        'Square', 'Stadium', 'StorageTanks', 'Viaduct')))
train_20 = dict(folder, ann_file='splits/train_20.txt')
test_20 = dict(folder, ann_file='splits/test_20.txt')
train_50 = dict(folder, ann_file='splits/train_50.txt')
test_50 = dict(folder, ann_file='splits/test_50.txt')
