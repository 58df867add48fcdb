package sidecar

// offline keeps the libraries of the workers from the network, from telemetry, and from what the user's own Python has.
var offline = []string{
	"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "HF_HUB_DISABLE_TELEMETRY=1", "DO_NOT_TRACK=1", "PYTHONUNBUFFERED=1",
	"PYTHONNOUSERSITE=1", "PYTHONIOENCODING=utf-8", "TOKENIZERS_PARALLELISM=false",
}
