# k-NN accuracy of a Swin-B on AID (50 % of each class); nothing is trained.
_base_ = ['../_base_/models/swin-base_knn.py', '../_base_/recipes/knn_aid-50.py']
