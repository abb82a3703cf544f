"""What a watch asks, each in a thread of its own: a source answers with samples, or says why it cannot."""
