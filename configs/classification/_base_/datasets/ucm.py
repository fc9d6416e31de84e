# UC Merced Land Use (Yang and Newsam, 2010), as tools/dataset_converters/ucm.py
# prepares it; the number is the percentage of each class used for training.
num_classes = 21
folder = dict(
    type='ImageFolder',
    data_root='data/ucm',
    data_prefix='images',
    with_label=True,
    # each list is either the gallery or the queries of a k-NN test
    query_every=None,
    metainfo=dict(classes=(
        'agricultural', 'airplane', 'baseballdiamond', 'beach', 'buildings', 'chaparral',
        'denseresidential', 'forest', 'freeway', 'golfcourse', 'harbor', 'intersection',
        'mediumresidential', 'mobilehomepark', 'overpass', 'parkinglot', 'river', 'runway',
        'sparseresidential', 'storagetanks', 'tenniscourt')))
train_80 = dict(folder, ann_file='splits/train_80.txt')
test_80 = dict(folder, ann_file='splits/test_80.txt')
