"""Retrieval of the scenes of a collection that are similar to a query."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..checkpoints.files import atomic_write
from ..utils.errors import CMIDError, MissingFileError
from .feature_inferencer import FeatureInferencer


class SceneIndex:
    """Scene vectors of a collection of images.

    Args:
        paths (Sequence[str]): Images.
        vectors (ndarray): float32 (N, C), from :class:`FeatureInferencer`.
        model (str): Name of the model of the vectors; queries need the same model.

    Raises:
        CMIDError: The numbers of paths and vectors differ.
    """

    def __init__(self, paths: Sequence[str], vectors: np.ndarray, model: str = ''):
        if len(paths) != len(vectors):
            raise CMIDError(f'{len(paths)} paths, but {len(vectors)} vectors')
        self.paths = list(paths)
        self.vectors = np.asarray(vectors, np.float32)
        self.model = model

    @classmethod
    def build(cls, inferencer: FeatureInferencer, images: str | Sequence[str],
              batch_size: int = 32) -> 'SceneIndex':
        """An index of a folder or of files; images that cannot be read are left out."""
        found = inferencer(images, batch_size)
        return cls(found['paths'], found['vectors'], inferencer.name)

    @classmethod
    def load(cls, path: str) -> 'SceneIndex':
        """Read a saved index; nothing in the file is executed.

        Raises:
            MissingFileError: The file does not exist.
            CMIDError: The file is no index.
        """
        if not Path(path).is_file():
            raise MissingFileError(f'no such index: {path}')
        try:
            with np.load(path, allow_pickle=False) as content:
                return cls(content['paths'].tolist(), content['vectors'], str(content['model']))
        except (KeyError, ValueError, OSError) as error:
            raise CMIDError(f'{path} is no index of scenes ({error}): create one with '
                            'tools/inference/retrieve_scenes.py --save') from error

    def save(self, path: str) -> None:
        """Write the index, ``.npz``."""
        with atomic_write(path) as unfinished, unfinished.open('wb') as file:
            np.savez(file, paths=np.array(self.paths), vectors=self.vectors,
                     model=np.array(self.model))

    def search(self, vectors: np.ndarray, count: int = 8,
               leave_out: Sequence[str] = ()) -> list[list[tuple[str, float]]]:
        """The most similar scenes of each query, by the cosine of the vectors.

        Args:
            vectors (ndarray): (M, C).
            count (int): Scenes for each query, at most all. Defaults to 8.
            leave_out (Sequence[str]): Paths that are not returned, such as those of the queries.

        Returns:
            list[list[tuple[str, float]]]: M lists of (path, cosine), the most similar first.

        Raises:
            CMIDError: The vectors and those of the index differ in length.
        """
        if vectors.shape[1] != self.vectors.shape[1]:
            raise CMIDError(f'the queries have {vectors.shape[1]} features, the index '
                            f'{self.vectors.shape[1]}: it was made with another model '
                            f'({self.model})')
        similarity = _unit(vectors) @ _unit(self.vectors).T
        similarity[:, np.isin(self.paths, list(leave_out))] = -np.inf
        best = np.argsort(-similarity, axis=1, kind='stable')[:, :count]
        return [[(self.paths[index], float(row[index])) for index in order
                 if np.isfinite(row[index])] for row, order in zip(similarity, best)]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
