"""The fast engine: waveform relaxation over neurons."""
