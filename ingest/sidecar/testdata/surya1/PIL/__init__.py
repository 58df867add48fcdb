class UnidentifiedImageError(OSError):
    pass
