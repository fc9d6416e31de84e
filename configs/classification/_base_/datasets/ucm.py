# UC Merced Land Use (Yang and Newsam, 2010), as tools/dataset_converters/ucm.py
# prepares it; the number is the share of each class, in percent, that trains.
num_classes = 21
folder = dict(
    type='ImageFolder',
    data_root='data/ucm',
    data_prefix='images',
    with_label=True,
    # a list is one part as a whole, bank or query of a k-NN vote
    query_every=None,
    metainfo=dict(classes=(
        'agricultural', 'airplane', 'baseballdiamond', 'beach', 'buildings', 'chaparral',
        'denseresidential', 'forest', 'freeway', 'golfcourse', 'harbor', 'intersection',
        'mediumresidential', 'mobilehomepark', 'overpass', 'parkinglot', 'river', 'runway',
        'sparseresidential', 'storagetanks', 'tenniscourt')))
train_80 = dict(folder, ann_file='splits/train_80.txt')
test_80 = dict(folder, ann_file='splits/test_80.txt')
