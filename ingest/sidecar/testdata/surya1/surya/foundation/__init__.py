class FoundationPredictor:
    def __init__(self, checkpoint=None, device=None, dtype=None, attention_implementation=None):
        print("Loading foundation model")  # as libraries do: it must not get into the protocol
