from .reconstruction import reconstruction_panels, save_reconstructions

__all__ = ['reconstruction_panels', 'save_reconstructions']
