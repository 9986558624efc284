"""From a trained network to a graph, by `ingest.pipeline.ingest_model`. Needs the extra `ingest`."""
