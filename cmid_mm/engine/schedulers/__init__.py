from .cmid_cosine_lr import CMIDCosineLR

__all__ = ['CMIDCosineLR']
