class DetectionPredictor:
    def __init__(self, checkpoint=None, device=None, dtype=None, attention_implementation=None):
        pass
